/** The order of changes to a running daemon's settings, over a cache that does only what it is told. */
import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import type { LimitOptions, Limits } from "../../engine/cache.js";
import { CacheError, limitsOf } from "../../engine/cache.js";
import { limitOptionsFrom, overlay } from "../../cli/config/layers.js";
import { LiveConfig } from "../../cli/config/live.js";
import { environmentLayer, flagLayer, loadFile } from "../../cli/config/sources.js";
import { createLogger } from "../../cli/log.js";
import { withDirectory } from "./run-cli.js";

const test = suite("live config");
const GIB = 1024 ** 3;

/** Settles limits as the engine does, with a drive that a test can fill. */
class FakeCache {
  readonly drive = { totalBytes: 100 * GIB, availableBytes: 20 * GIB, totalInodes: 0, availableInodes: 0 };
  limits: Limits;
  /** Capacities in the order in which configure was called with them. */
  readonly asked: (number | undefined)[] = [];
  running = 0;
  gate: Promise<void> = Promise.resolve();
  failure: CacheError | undefined;

  constructor(options: LimitOptions) {
    this.limits = this.#settle(options);
  }

  #settle(options: LimitOptions): Limits {
    return limitsOf(options, this.drive, { ownBytes: 0, indexBytes: 0 });
  }

  async configure(options: LimitOptions): Promise<Limits> {
    assert.equal(this.running, 0, "two at a time");
    this.running += 1;
    try {
      this.asked.push(options.capacityBytes);
      const limits = this.#settle(options);
      this.limits = limits;
      await this.gate;
      if (this.failure !== undefined) throw this.failure;
      return limits;
    } finally {
      this.running -= 1;
    }
  }
}

interface Parts {
  readonly cache: FakeCache;
  readonly config: LiveConfig;
  readonly path: string;
  readonly lines: string[];
}

async function withConfig(
  content: string | undefined,
  options: { readonly flags?: Record<string, string>; readonly named?: boolean },
  body: (parts: Parts) => Promise<void>,
): Promise<void> {
  await withDirectory(async (directory) => {
    const path = join(directory, "c.toml");
    if (content !== undefined) writeFileSync(path, content);
    const location = { path, named: options.named ?? true };
    const flags = flagLayer(
      new Map([["dir", directory], ...Object.entries(options.flags ?? {})] as [never, string][]),
    );
    const given = { flags, environment: environmentLayer({ TAGCACHE_BRUN: "9" }), location };
    const file = loadFile(location);
    const cache = new FakeCache(limitOptionsFrom(overlay(flags, given.environment, file), directory));
    const lines: string[] = [];
    const log = createLogger({
      level: "info",
      format: "text",
      journald: true,
      write: (line) => void lines.push(line.trimEnd()),
    });
    await body({ cache, config: new LiveConfig({ cache, log, given, file }), path, lines });
  });
}

const entryOf = (config: LiveConfig, key: string) => config.entries().find((entry) => entry.key === key);
const set = (config: LiveConfig, pairs: Record<string, string>) => config.set(new Map(Object.entries(pairs)));

test("what is set goes before flags, and default goes back to them", async () => {
  await withConfig("slots = 100", { flags: { capacity: "1GiB" } }, async ({ config, cache }) => {
    assert.deepEqual(entryOf(config, "capacity"), { key: "capacity", value: "1GiB", source: "flag" });
    await set(config, { capacity: "2GiB", brun: "10" });
    assert.deepEqual(entryOf(config, "capacity"), { key: "capacity", value: "2GiB", source: "set" });
    assert.equal(cache.limits.brun, 10);
    assert.equal(cache.limits.slotsMax, 100, "what was not named stays");
    await set(config, { capacity: "default", brun: "default" });
    assert.equal(entryOf(config, "capacity")?.source, "flag");
    assert.deepEqual(entryOf(config, "brun"), {
      key: "brun",
      value: "9%",
      source: "environment",
      origin: "TAGCACHE_BRUN",
    });
    assert.equal(cache.limits.capacityBytes, GIB);
  });
});

test("a capacity by default stays as it was settled while other settings change", async () => {
  await withConfig(undefined, { named: false }, async ({ config, cache }) => {
    const settled = cache.limits.capacityBytes;
    cache.drive.availableBytes = 5 * GIB;
    await set(config, { bcull: "4" });
    await set(config, { "log-level": "error" });
    assert.deepEqual(cache.asked, [settled], "and a log level is nothing for the engine");
    await set(config, { capacity: "3GiB" });
    await set(config, { capacity: "default" });
    assert.deepEqual(cache.asked, [settled, 3 * GIB, undefined]);
    assert.equal(entryOf(config, "capacity")?.value, String(GIB));
  });
});

test("changes are made one after the other, and readings of the file that wait are one", async () => {
  await withConfig('capacity = "1GiB"', {}, async ({ config, cache, path, lines }) => {
    let release: () => void = () => undefined;
    cache.gate = new Promise((resolve) => {
      release = resolve;
    });
    const first = set(config, { capacity: "2GiB" });
    const second = set(config, { capacity: "3GiB" });
    const reloads = [config.reload(), config.reload(), config.reload()];
    const last = set(config, { brun: "20" });
    writeFileSync(path, 'capacity = "4GiB"');
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.deepEqual(cache.asked, [2 * GIB]);
    release();
    await Promise.all([first, second, ...reloads, last]);
    assert.deepEqual(cache.asked, [2 * GIB, 3 * GIB, 4 * GIB, 4 * GIB]);
    assert.equal(lines.filter((line) => line.includes("reading")).length, 1);
    assert.equal(entryOf(config, "brun")?.source, "set");
    await config.reload();
    assert.equal(entryOf(config, "brun")?.source, "environment");
  });
});

test("a signal while the file is being applied has it read once more", async () => {
  await withConfig('capacity = "1GiB"', {}, async ({ config, cache, path }) => {
    let release: () => void = () => undefined;
    cache.gate = new Promise((resolve) => {
      release = resolve;
    });
    writeFileSync(path, 'capacity = "2GiB"');
    const first = config.reload();
    await new Promise((resolve) => setTimeout(resolve, 20));
    writeFileSync(path, 'capacity = "3GiB"');
    const second = config.reload();
    release();
    await Promise.all([first, second]);
    assert.equal(cache.limits.capacityBytes, 3 * GIB);
  });
});

test("values that do not fit yet stand all the same, and the caller is told", async () => {
  await withConfig('capacity = "1GiB"', {}, async ({ config, cache, path, lines }) => {
    cache.failure = new CacheError("E_NO_SPACE", "Cannot cull: blocks are in use");
    const error: unknown = await set(config, { capacity: "512MiB" }).catch((reason: unknown) => reason);
    assert.ok(error instanceof CacheError && error.code === "E_NO_SPACE");
    assert.equal(error.message, "Cannot cull: blocks are in use; the new settings stand all the same");
    assert.equal(entryOf(config, "capacity")?.value, "512MiB");
    writeFileSync(path, 'capacity = "256MiB"');
    await config.reload();
    assert.equal(lines.at(-1), "<4>Cannot cull: blocks are in use; the new settings stand all the same");
    assert.equal(entryOf(config, "capacity")?.value, "256MiB");
  });
});

test("a failed change leaves the next one its turn", async () => {
  await withConfig('capacity = "1GiB"', {}, async ({ config }) => {
    const wrong = set(config, { capacity: "1KiB" });
    const right = set(config, { slots: "99" });
    await assert.rejects(wrong, /Cannot use a capacity of 1024 bytes/);
    await right;
    assert.equal(entryOf(config, "slots")?.value, "99");
    assert.equal(entryOf(config, "capacity")?.value, "1GiB");
  });
});

test("a file that appears is read, one that vanishes is missed", async () => {
  await withConfig(undefined, { named: false }, async ({ config, path, lines }) => {
    await set(config, { slots: "50" });
    await config.reload();
    assert.match(lines.join("\n"), /<6>reading no file: none is at .*c\.toml/);
    assert.equal(entryOf(config, "slots")?.source, "default", "what was set goes all the same");
    writeFileSync(path, "slots = 77");
    await config.reload();
    assert.equal(entryOf(config, "slots")?.value, "77");
    rmSync(path);
    await config.reload();
    assert.match(
      lines.at(-1) ?? "",
      /^<3>settings stay as they were: Cannot read .*c\.toml: there is no such file$/,
    );
    assert.equal(entryOf(config, "slots")?.value, "77");
  });
});

test("keys that need a restart keep what the daemon started with, whatever the file says later", async () => {
  await withConfig('socket = "/run/a"\nlog-format = "json"', {}, async ({ config, path, lines }) => {
    writeFileSync(path, 'dir = "/elsewhere"\nstate-dir = "/s"\nsocket = "/run/b"');
    await config.reload();
    const warning = lines.find((line) => line.startsWith("<4>")) ?? "";
    assert.match(
      warning,
      /^<4>settings that need a restart: state-dir \/.* → \/s, socket \/run\/a → \/run\/b, log-format json → text$/,
    );
    assert.equal(entryOf(config, "socket")?.value, "/run/a");
    assert.match(entryOf(config, "socket")?.origin ?? "", /c\.toml:1$/);
    assert.equal(entryOf(config, "log-format")?.value, "json");
  });
});

test.run();
