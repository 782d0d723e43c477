/** Settings from flags, environment and file: which stands, what is refused, what `config check` and `config dump` say. */
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import { forEachConcurrent } from "../../engine/origin/concurrent.js";
import { onlyLine, run, startServe, withDirectory } from "./run-cli.js";

const test = suite("config");

interface Entry {
  readonly key: string;
  readonly value: string;
  readonly source: string;
  readonly origin?: string;
}

async function dumped(args: string[], env: Record<string, string> = {}): Promise<Map<string, Entry>> {
  const { status, stdout, stderr } = await run(["config", "dump", "--json", ...args], { env });
  assert.equal(status, 0, stderr);
  return new Map((JSON.parse(stdout) as Entry[]).map((entry) => [entry.key, entry]));
}

test("a flag goes before a variable, a variable before the file, the file before the default", async () => {
  await withDirectory(async (directory) => {
    const file = join(directory, "c.toml");
    writeFileSync(file, `dir = "${directory}/file"\n\ncapacity = "1GiB"\nslots = 4000\n`);
    const env = { TAGCACHE_CONFIG: file, TAGCACHE_DIR: `${directory}/variable`, TAGCACHE_SLOTS: "5000" };
    const entries = await dumped(["--dir", `${directory}/flag`], env);
    const of = (key: string) => entries.get(key);
    assert.deepEqual(of("dir"), { key: "dir", value: `${directory}/flag`, source: "flag" });
    assert.deepEqual(of("slots"), {
      key: "slots",
      value: "5000",
      source: "environment",
      origin: "TAGCACHE_SLOTS",
    });
    assert.deepEqual(of("capacity"), {
      key: "capacity",
      value: "1GiB",
      source: "file",
      origin: `${file}:3`,
    });
    assert.deepEqual(of("log-level"), { key: "log-level", value: "info", source: "default" });
    assert.equal(of("socket")?.value, `${directory}/flag/sock`);
    assert.equal((await dumped([], env)).get("dir")?.value, `${directory}/variable`);
    assert.equal((await dumped([], { TAGCACHE_CONFIG: file })).get("dir")?.value, `${directory}/file`);
    const other = join(directory, "other.toml");
    writeFileSync(other, "slots = 77");
    const named = await dumped(["--config", other], { TAGCACHE_CONFIG: file });
    assert.equal(named.get("slots")?.value, "77");
  });
});

test("every command finds the daemon that the file describes, as serve does", async () => {
  await withDirectory(async (directory) => {
    const file = join(directory, "c.toml");
    const dir = join(directory, "cache");
    writeFileSync(
      file,
      `dir = "${dir}"\nsocket = "${directory}/s"\nstate-dir = "${directory}/state"\ncapacity = "64MiB"\n`,
    );
    const daemon = await startServe(dir, ["--config", file]);
    assert.match(daemon.log(), new RegExp(`serving socket=${directory}/s pid=\\d+ config=${file} `));
    const env = { TAGCACHE_CONFIG: file };
    const { stdout, status } = await run(["status", "--json"], { env });
    assert.equal(status, 0);
    assert.equal(JSON.parse(stdout).capacityBytes, 64 * 1024 * 1024);
    assert.equal((await run(["ping", "--config", file])).status, 0);
    assert.ok(readdirSync(join(directory, "state")).length > 0);
    assert.equal((await run(["stop"], { env })).status, 0);
    assert.equal(await daemon.exited, 0);
    assert.equal((await run(["fsck"], { env })).status, 0);
  });
});

test("the file by default is the one of XDG_CONFIG_HOME, root's is in /etc", async () => {
  await withDirectory(async (directory) => {
    const file = join(directory, "tagcache/tagcache.toml");
    mkdirSync(join(directory, "tagcache"));
    writeFileSync(file, "slots = 4321");
    const env = { TAGCACHE_CONFIG: "", XDG_CONFIG_HOME: directory };
    const { stdout } = await run(["config", "check", "--dir", directory], { env });
    if (process.getuid?.() === 0) {
      assert.match(stdout, /^\/etc\/tagcache\/tagcache\.toml: ok/);
      return;
    }
    assert.equal(stdout, `${file}: ok\n`);
    assert.equal((await dumped(["--dir", directory], env)).get("slots")?.origin, `${file}:1`);
  });
});

/** What the file holds, variables, exit status of `serve` and of `config check`, and the line. */
const REFUSED: [string, Record<string, string>, number, RegExp][] = [
  ["slots = ", {}, 78, /^tagcache: Cannot read FILE:1:8: there is no value behind "="$/],
  [
    'capacty = "1GiB"',
    {},
    78,
    /^tagcache: Cannot read FILE:1:1: unknown key "capacty", did you mean capacity\?$/,
  ],
  ["slots = true", {}, 78, /^tagcache: Cannot read FILE:1:9: slots is a boolean, want a whole number$/],
  ["\nslots = 15", {}, 78, /^tagcache: Cannot use 15 slots: want 16 to 2147483648$/],
  [
    "bcull = 8",
    {},
    78,
    /^tagcache: Cannot use bstop 3 %, bcull 8 %, brun 7 %: want bstop below bcull below brun$/,
  ],
  ['capacity = "7PiB"', {}, 78, /^tagcache: Cannot use a capacity of \d+ bytes: the drive has \d+$/],
  ['shares = ["a=..1", "a=..2"]', {}, 78, /^tagcache: Cannot use two shares of a: want one$/],
  [
    `socket = "/${"s".repeat(107)}"`,
    {},
    78,
    /^tagcache: Cannot read FILE:1:10: socket is "\/s+", want 1 to 107/,
  ],
  [`dir = "/nonexistent/${"d".repeat(90)}"`, {}, 78, /^tagcache: Cannot use socket path .*want 1 to 107/],
  ["", { TAGCACHE_SLOTS: "many" }, 78, /^tagcache: Cannot use TAGCACHE_SLOTS "many": want a whole number$/],
  ["", { TAGCACHE_SHARES: "a=..1,b" }, 78, /^tagcache: Cannot use TAGCACHE_SHARES "a=\.\.1,b": want FS=MIN/],
  [
    "",
    { TAGCACHE_CAPACITY: "3MiB" },
    78,
    /^tagcache: Cannot use a capacity of 3145728 bytes: want at least 16/,
  ],
  [
    "",
    { TAGCACHE_LOG_FORMAT: "xml" },
    78,
    /^tagcache: Cannot use TAGCACHE_LOG_FORMAT "xml": want one of text, json$/,
  ],
];

test("serve and check refuse the same in the same line, and make nothing", async () => {
  await withDirectory(async (directory) => {
    await forEachConcurrent(REFUSED.entries(), 2, async ([index, [content, variables, status, line]]) => {
      const file = join(directory, `${index}.toml`);
      writeFileSync(file, content);
      const env = { TAGCACHE_CONFIG: file, ...variables };
      if (!content.startsWith("dir")) Object.assign(env, { TAGCACHE_DIR: join(directory, `cache-${index}`) });
      for (const command of [["serve"], ["config", "check"]]) {
        const finished = await run(command, { env });
        assert.match(onlyLine(finished).replace(file, "FILE"), line, command[0]);
        assert.equal(finished.status, status);
        assert.equal(finished.stdout, "");
      }
      const named = await run(["config", "check", file], { env: { ...env, TAGCACHE_CONFIG: "" } });
      assert.equal(named.status, status);
    });
    const left = readdirSync(directory).filter((name) => !name.endsWith(".toml"));
    assert.deepEqual(left, []);
  });
});

test("a wrong file stops every command, by its own exit status", async () => {
  await withDirectory(async (directory) => {
    const file = join(directory, "c.toml");
    writeFileSync(file, "bogus = 1");
    for (const [command, status] of [
      ["status", 78],
      ["fsck", 8],
    ] as const) {
      const finished = await run([command, "--config", file]);
      assert.equal(finished.status, status);
      assert.match(onlyLine(finished), /c\.toml:1:1: unknown key "bogus"/);
    }
    assert.equal((await run(["fsck", "--dir", ""])).status, 16);
    const none = await run(["ping", "--config", join(directory, "none")]);
    assert.equal(none.status, 78);
    assert.match(onlyLine(none), /Cannot read .*none: there is no such file$/);
  });
});

test("what is dumped without a daemon is a file that check takes, with the same values", async () => {
  await withDirectory(async (directory) => {
    const env = {
      TAGCACHE_SHARES: "afs=10..50,nfs/hex:00ff=..30%",
      TAGCACHE_BRUN: "9.5",
      TAGCACHE_DIR: join(directory, 'odd "name"\\'),
    };
    const first = await run(["config", "dump"], { env });
    assert.equal(first.status, 0, first.stderr);
    assert.match(
      onlyLine(first),
      /^tagcache: No daemon answers on .*: this is what "tagcache serve" would use here$/,
    );
    assert.match(first.stdout, /^brun = "9.5%" {2}# environment TAGCACHE_BRUN$/m);
    assert.match(
      first.stdout,
      /^shares = \["afs=10%..50%", "nfs\/hex:00ff=..30%"\] {2}# environment TAGCACHE_SHARES$/m,
    );
    assert.match(first.stdout, /^capacity = \d+ {2}# default$/m);
    assert.match(first.stdout, /^log-level = "info" {2}# default$/m);
    const file = join(directory, "dump.toml");
    writeFileSync(file, first.stdout);
    assert.equal((await run(["config", "check", file])).stdout, `${file}: ok\n`);
    const json = await run(["config", "check", file, "--json"]);
    assert.deepEqual(JSON.parse(json.stdout), { ok: true, file, exists: true });
    const second = await run(["config", "dump", "--config", file]);
    const values = (text: string) => text.replaceAll(/ {2}#.*$/gm, "");
    assert.equal(values(second.stdout), values(first.stdout));
    const lines = second.stdout.trimEnd().split("\n");
    for (const [index, line] of lines.entries())
      assert.ok(line.endsWith(`  # file ${file}:${index + 1}`), line);
    assert.deepEqual(readdirSync(directory), ["dump.toml"]);
  });
});

test("check takes a file whose directory does not exist yet, and none at all", async () => {
  await withDirectory(async (directory) => {
    const file = join(directory, "c.toml");
    writeFileSync(file, `dir = "${directory}/not/yet"\ncapacity = "20%"\n`);
    assert.equal((await run(["config", "check", file])).stdout, `${file}: ok\n`);
    assert.deepEqual(readdirSync(directory), ["c.toml"]);
    const none = await run(["config", "check"], { env: { TAGCACHE_CONFIG: "", TAGCACHE_DIR: directory } });
    assert.equal(none.status, 0, none.stderr);
    assert.match(none.stdout, /tagcache\.toml: ok/);
  });
});

test("the line for wrong use of config commands", async () => {
  await withDirectory(async (directory) => {
    const dir = ["--dir", directory];
    for (const [args, status, line] of [
      [["set", "capacity"], 64, /Cannot set "capacity": want KEY=VALUE$/],
      [["set", "=1"], 64, /Cannot set "=1": want KEY=VALUE$/],
      [["set", "brun=8", "brun=9"], 64, /Cannot set brun twice: want one value$/],
      [["set"], 64, /missing required argument 'key=value'/],
      [["set", "brun=8"], 69, /No daemon answers on .*tagcache serve/],
      [["get"], 69, /No daemon answers on .*tagcache serve/],
      [["gett"], 64, /unknown command 'gett' \(Did you mean get\?\)/],
    ] as const) {
      const finished = await run(["config", ...args, ...dir]);
      assert.match(onlyLine(finished), line);
      assert.equal(finished.status, status);
    }
    const help = await run(["config", "set", "--help"]);
    assert.equal(help.status, 0);
    assert.match(help.stdout, /Example:\n +tagcache config set /);
    assert.deepEqual(readdirSync(directory), []);
  });
});

test.run();
