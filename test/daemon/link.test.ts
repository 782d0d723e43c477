/** Deadlines, lost daemons and their return, against server processes that are really stopped and killed. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createConnection, createServer } from "node:net";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import * as assert from "uvu/assert";
import { suite } from "uvu";
import { isCacheError } from "../../index/core/errors.js";
import type { CacheErrorCode } from "../../index/core/errors.js";
import { SLOT_BYTES } from "../../index/core/layout.js";
import { connect } from "../../engine/daemon/client.js";
import type { CacheClient } from "../../engine/daemon/client.js";
import { MemoryCache } from "../model/memory-cache.js";
import { sleep, until, withServer } from "./with-server.js";

const link = suite("link");

const DEADLINE_MS = 300;
/** What a busy machine may add. */
const SLACK_MS = 700;
const extension = extname(import.meta.url);
const childPath = fileURLToPath(new URL(`server-child${extension}`, import.meta.url));
const execArgv = extension === ".ts" ? ["--import", "tsx"] : [];

const tag = (block: number) => ({ fs: "nfs", volume: "v", inode: "i", block });
const BLOCK = Buffer.alloc(SLOT_BYTES, 3);

async function startChild(socketPath: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, [...execArgv, childPath, socketPath], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(child.stdout, "data");
  return child;
}

async function withChild(
  body: (context: { child: ChildProcess; socketPath: string; client: CacheClient }) => Promise<void>,
): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "tagcache-link-"));
  const socketPath = join(directory, "sock");
  const child = await startChild(socketPath);
  const client = await connect({ socketPath, deadlineMs: DEADLINE_MS });
  try {
    await body({ child, socketPath, client });
  } finally {
    await client.close();
    child.kill("SIGKILL");
    rmSync(directory, { recursive: true, force: true });
  }
}

async function within<Value>(ms: number, call: () => Promise<Value>): Promise<Value> {
  const startMs = performance.now();
  const value = await call();
  const tookMs = performance.now() - startMs;
  assert.ok(tookMs < ms, `took ${tookMs.toFixed()} ms, want less than ${ms}`);
  return value;
}

async function rejects(call: () => Promise<unknown>, ...codes: CacheErrorCode[]): Promise<void> {
  const error = await call().then(
    () => "no error",
    (reason: unknown) => reason,
  );
  assert.ok(
    codes.some((code) => isCacheError(error, code)),
    `want ${codes.join(" or ")}, got ${String(error)}`,
  );
}

link("a stopped daemon hangs nobody, and is back by itself when it goes on", async () => {
  await withChild(async ({ child, client }) => {
    await client.put(tag(0), BLOCK);
    const volume = await client.acquireVolume("nfs", "v");
    const cookie = await volume.acquireCookie("i", { sizeBytes: BigInt(SLOT_BYTES) });
    child.kill("SIGSTOP");
    await within(DEADLINE_MS + SLACK_MS, async () => {
      const [get, has, read, ...removes] = await Promise.all([
        client.get(tag(0)),
        client.has(tag(0)),
        cookie.read(0n, 10),
        rejects(() => client.remove(tag(0)), "E_TIMEOUT"),
        rejects(() => volume.invalidate(), "E_TIMEOUT"),
        rejects(() => client.acquireVolume("a", "b"), "E_TIMEOUT"),
        rejects(() => client.status(), "E_TIMEOUT"),
        rejects(() => client.ping(), "E_TIMEOUT"),
      ]);
      assert.is(removes.length, 5);
      assert.equal(get, { kind: "bypass", reason: "timeout" });
      assert.is(has, false);
      assert.equal(read.missing, [{ offsetBytes: 0n, lengthBytes: 10 }]);
      assert.is(read.bypass, "timeout");
    });
    await within(50 + SLACK_MS, async () => {
      for (let count = 0; count < 100; count += 1) {
        assert.equal(await client.get(tag(0)), { kind: "bypass", reason: "timeout" });
        assert.equal(await client.put(tag(1), BLOCK), { kind: "bypass", reason: "timeout" });
      }
    });
    child.kill("SIGCONT");
    await until(async () => (await client.get(tag(5))).kind === "miss");
    assert.ok((await cookie.read(0n, 10)).missing.length <= 1);
    assert.is(await client.has(tag(1)), false, "what was refused at once was not sent");
  });
});

link("sends nothing of a payload once its caller has been told to go on", async () => {
  await withChild(async ({ child, client }) => {
    child.kill("SIGSTOP");
    const buffers = Array.from({ length: 8 }, () => Buffer.from(BLOCK));
    const results = await within(DEADLINE_MS + SLACK_MS, () =>
      Promise.all(
        buffers.map(async (buffer, index) => {
          const result = await client.put(tag(index), buffer);
          buffer.fill(0xee);
          return result;
        }),
      ),
    );
    for (const result of results) assert.equal(result, { kind: "bypass", reason: "timeout" });
    child.kill("SIGCONT");
    await until(async () => (await client.get(tag(100))).kind === "miss");
    for (const index of buffers.keys()) {
      const result = await client.get(tag(index));
      if (result.kind === "hit") assert.ok(result.bytes.equals(BLOCK), "a torn block was stored");
    }
  });
});

link("writes no more into memory once its caller has been told to go on", async () => {
  let release: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  let gets = 0;
  const cache = new MemoryCache({
    before: (operation) => {
      if (operation !== "get") return undefined;
      gets += 1;
      return gets === 1 ? gate : undefined;
    },
  });
  await withServer({ cache }, async ({ connect: open }) => {
    const client = await open(200);
    await client.put(tag(0), BLOCK);
    const into = Buffer.alloc(SLOT_BYTES);
    assert.equal(await client.get(tag(0), { into }), { kind: "bypass", reason: "timeout" });
    release();
    await until(async () => (await client.get(tag(0))).kind === "hit");
    await sleep(50);
    assert.ok(into.equals(Buffer.alloc(SLOT_BYTES)), "a late reply wrote into the caller's memory");
    await client.close();
  });
});

link("writes no more into memory once its caller has gone on in the middle of a reply", async () => {
  await withServer({}, async ({ connect: open, socketPath }) => {
    const filler = await open();
    await filler.put(tag(0), BLOCK);
    const path = `${socketPath}.half`;
    // A daemon that stops half-way through a reply, and goes on when its client has given up.
    let rest: () => void = () => undefined;
    const relay = createServer((client) => {
      const daemon = createConnection(socketPath);
      client.pipe(daemon);
      let passed = 0;
      daemon.on("data", (chunk) => {
        passed += chunk.length;
        if (passed < SLOT_BYTES / 2) client.write(chunk);
        else {
          daemon.pause();
          client.write(chunk.subarray(0, 10));
          rest = () => {
            client.write(chunk.subarray(10));
            daemon.pipe(client);
          };
        }
      });
      for (const socket of [client, daemon]) socket.on("error", () => undefined);
      client.on("close", () => daemon.destroy());
    });
    await new Promise<void>((resolve) => relay.listen(path, resolve));
    const client = await connect({ socketPath: path, deadlineMs: 200 });
    const into = Buffer.alloc(SLOT_BYTES);
    assert.equal(await client.get(tag(0), { into }), { kind: "bypass", reason: "timeout" });
    assert.ok(into.includes(3), "the first half has come");
    into.fill(0);
    rest();
    await sleep(100);
    assert.ok(into.equals(Buffer.alloc(SLOT_BYTES)), "a late reply wrote into the caller's memory");
    await client.close();
    await filler.close();
    relay.close();
  });
});

link("one slow call makes no others wait for long", async () => {
  const hang = new Promise<void>(() => undefined);
  const cache = new MemoryCache({ before: (operation) => (operation === "has" ? hang : undefined) });
  await withServer({ cache }, async ({ connect: open }) => {
    const client = await open(200);
    await client.put(tag(0), BLOCK);
    const has = client.has(tag(0));
    await sleep(100);
    await within(SLACK_MS, async () => assert.is((await client.get(tag(0))).kind, "hit"));
    assert.is(await has, false);
    await within(SLACK_MS, () => until(async () => (await client.get(tag(0))).kind === "hit"));
    await client.close();
  });
});

link("a lease that comes after its asker was told to go on is given up", async () => {
  await withChild(async ({ child, socketPath, client }) => {
    child.kill("SIGSTOP");
    const late = await within(DEADLINE_MS + SLACK_MS, () =>
      client.getOrLease(tag(0), { waitMs: 0, leaseMs: 600_000 }),
    );
    assert.equal(late, { kind: "bypass", reason: "timeout" });
    child.kill("SIGCONT");
    await until(async () => (await client.get(tag(0))).kind === "miss");
    const other = await connect({ socketPath, deadlineMs: DEADLINE_MS });
    assert.is((await other.getOrLease(tag(0), { waitMs: 5000 })).kind, "lease");
    const { leases } = await other.status();
    assert.equal(leases, { held: 1, waiting: 0, given: 2 });
    await other.close();
  });
});

link("closes at once while the daemon is stopped", async () => {
  await withChild(async ({ child, client }) => {
    child.kill("SIGSTOP");
    const gets = Promise.all([client.get(tag(0)), client.put(tag(0), BLOCK)]);
    await within(DEADLINE_MS + SLACK_MS, () => client.close());
    for (const result of await gets) assert.is(result.kind, "bypass");
    child.kill("SIGCONT");
  });
});

link("connecting to a stopped daemon ends with the deadline", async () => {
  await withChild(async ({ child, socketPath }) => {
    child.kill("SIGSTOP");
    await within(DEADLINE_MS + SLACK_MS, () =>
      rejects(() => connect({ socketPath, deadlineMs: DEADLINE_MS }), "E_TIMEOUT"),
    );
    child.kill("SIGCONT");
  });
});

link("survives the daemon's death and finds its successor", async () => {
  await withChild(async ({ child, socketPath, client }) => {
    await client.put(tag(0), BLOCK);
    const volume = await client.acquireVolume("nfs", "v");
    const cookie = await volume.acquireCookie("i", { sizeBytes: BigInt(SLOT_BYTES) });
    child.kill("SIGKILL");
    await until(async () => {
      const result = await client.get(tag(0));
      return result.kind === "bypass" && result.reason === "unavailable";
    });
    assert.is(await client.has(tag(0)), false);
    await rejects(() => client.remove(tag(0)), "E_UNAVAILABLE");
    await rejects(() => client.ping(), "E_UNAVAILABLE");
    assert.is((await cookie.read(0n, 10)).bypass, "unavailable");
    const successor = await startChild(socketPath);
    try {
      await until(async () => (await client.get(tag(0))).kind === "miss");
      assert.equal(await client.put(tag(0), BLOCK), { kind: "stored" });
      assert.is((await cookie.read(0n, 10)).bypass, "stale", "a handle ends with its connection");
      assert.is((await cookie.write(0n, BLOCK)).bypass, "stale");
      await rejects(() => volume.acquireCookie("i"), "E_NOT_FOUND");
      await rejects(() => cookie.relinquish({ retire: true }), "E_NOT_FOUND");
      await volume.relinquish();
      const again = await client.acquireVolume("nfs", "v");
      const anew = await again.acquireCookie("i", { sizeBytes: BigInt(SLOT_BYTES) });
      assert.equal((await anew.write(0n, BLOCK)).stored, [{ offsetBytes: 0n, lengthBytes: SLOT_BYTES }]);
      await client.stop();
      await once(successor, "exit");
      assert.is(successor.exitCode, 0);
    } finally {
      successor.kill("SIGKILL");
    }
  });
});

link("queues a burst within its limits and answers all of it", async () => {
  await withServer({}, async ({ connect: open, server }) => {
    const client = await open();
    let bytesMax = 0;
    const watch = setInterval(() => (bytesMax = Math.max(bytesMax, server.inFlight.bytes)), 1);
    await client.put(tag(0), BLOCK);
    const results = await Promise.all(Array.from({ length: 500 }, () => client.get(tag(0))));
    clearInterval(watch);
    assert.ok(results.every((result) => result.kind === "hit" && result.bytes.equals(BLOCK)));
    assert.ok(bytesMax <= 17 * 1024 * 1024, `in flight: ${bytesMax}`);
    const burst = await Promise.all(Array.from({ length: 6000 }, () => client.get(tag(1))));
    const overloaded = burst.filter((result) => result.kind === "bypass" && result.reason === "overload");
    assert.ok(overloaded.length > 0 && overloaded.length < 2000);
    assert.ok(burst.every((result) => result.kind !== "hit"));
    await client.close();
  });
});

link("an idle client does not keep its process alive", async () => {
  await withServer({}, async ({ socketPath }) => {
    const client = new URL(`../../engine/daemon/client${extension}`, import.meta.url).href;
    const script = `
      const { connect } = await import(${JSON.stringify(client)});
      const cache = await connect({ socketPath: process.argv[1] });
      await cache.ping();
      process.stdout.write("pinged");
    `;
    const child = spawn(process.execPath, [...execArgv, "--input-type=module", "-e", script, socketPath], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const chunks: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
    const [code] = (await once(child, "exit")) as [number | null];
    assert.is(code, 0);
    assert.is(Buffer.concat(chunks).toString(), "pinged");
  });
});

link.run();
