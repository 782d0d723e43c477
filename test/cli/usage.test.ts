import assert from "node:assert/strict";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { suite } from "uvu";
import { forEachConcurrent } from "../../engine/origin/concurrent.js";
import { buildProgram } from "../../cli/program.js";
import { onlyLine, run, withDirectory } from "./run-cli.js";

const test = suite("command line");
const COMMANDS = [
  "serve",
  "status",
  "ping",
  "stop",
  "config",
  "warm",
  "cat",
  "check",
  "get",
  "put",
  "cull",
  "tune",
  "wipe",
  "fsck",
  "quarantine",
  "demo",
];
const TAG = ["--fs", "f", "--volume", "v", "--inode", "i"];

test("help of every command shows its options, the global ones and an example", async () => {
  for (const command of COMMANDS) {
    const help = await helpOf(command);
    assert.match(help, new RegExp(`^Usage: tagcache ${command}`));
    assert.match(help, /Global Options:[^]*--dir[^]*--socket/);
    assert.match(help, new RegExp(`Example:\n.*tagcache ${command}`));
  }
  for (const command of ["get", "set", "check", "dump"]) {
    assert.match(
      await helpOf("config", command),
      new RegExp(`Global Options:[^]*Example:\n.*tagcache config ${command}`),
    );
  }
  const { status, stdout, stderr } = await run(["serve", "--help"]);
  assert.equal(status, 0);
  assert.equal(stderr, "");
  assert.equal(stdout, await helpOf("serve"));
  const overview = await run(["--help"]);
  assert.equal(overview.status, 0);
  for (const command of COMMANDS) assert.match(overview.stdout, new RegExp(`^  ${command}\\b`, "m"));
});

/** What --help prints, without a process of its own for each. */
async function helpOf(...names: string[]): Promise<string> {
  let text = "";
  let command: Command | undefined = await buildProgram();
  for (const name of names) command = command?.commands.find((candidate) => candidate.name() === name);
  command?.configureOutput({ writeOut: (part) => (text += part) });
  command?.outputHelp();
  return text;
}

test("prints its version", async () => {
  const { status, stdout } = await run(["--version"]);
  assert.equal(status, 0);
  assert.match(stdout, /^\d+\.\d+\.\d+\n$/);
});

/** Arguments, exit status, the line. `DIR` stands for an empty directory of the test. */
const REFUSED: [string[], number, RegExp][] = [
  [["statu"], 64, /unknown command 'statu' \(Did you mean status\?\)$/],
  [["status", "--bogus"], 64, /unknown option '--bogus'/],
  [["status", "extra"], 64, /too many arguments/],
  [["cat"], 64, /missing required argument 'path'/],
  [["warm"], 64, /Nothing to warm/],
  [["fsck", "--bogus"], 16, /unknown option '--bogus'/],
  [["get", "--fs", "f"], 64, /required option '--volume <name>' not specified/],
  [["get", ...TAG, "--block", "-1"], 64, /Cannot use block -1: want a whole number from 0 to 2\^45 - 1$/],
  [["get", ...TAG, "--block", "1.5"], 64, /Cannot use block "1.5"/],
  [["get", ...TAG, "--block", "35184372088832"], 64, /Cannot use block 35184372088832/],
  [["get", ...TAG, "--block", "zero"], 64, /Cannot use block/],
  [["get", ...TAG, "--block", ""], 64, /Cannot use block/],
  [["get", "--fs", "", "--volume", "v", "--inode", "i", "--block", "0"], 64, /Cannot use fs: it has 0 bytes/],
  [
    ["get", "--fs", "f", "--volume", "hex:0", "--inode", "i", "--block", "0"],
    64,
    /Cannot read "hex:0": want hex:/,
  ],
  [
    ["serve", "--dir", "DIR/c", "--capacity", "lots"],
    64,
    /Cannot use --capacity "lots": want bytes \(1048576\)/,
  ],
  [
    ["serve", "--dir", "DIR/c", "--capacity", "3MiB"],
    78,
    /capacity of 3145728 bytes: want at least 16 slots/,
  ],
  [["serve", "--dir", "DIR/c", "--capacity", "7PiB"], 78, /capacity of \d+ bytes: the drive has/],
  [["serve", "--dir", "DIR/c", "--slots", "15"], 78, /Cannot use 15 slots: want 16/],
  [["serve", "--dir", "DIR/c", "--slots", "many"], 64, /Cannot use --slots "many": want a whole number$/],
  [
    ["serve", "--dir", "DIR/c", "--on-unclean", "hope"],
    64,
    /Cannot use --on-unclean "hope": want one of wipe, verify$/,
  ],
  [
    ["serve", "--dir", "DIR/c", "--log-level", "loud"],
    64,
    /Cannot use --log-level "loud": want one of error, warn, info, debug$/,
  ],
  [
    ["serve", "--dir", "DIR/c", "--index-share", "many"],
    64,
    /Cannot use --index-share "many": want a percentage/,
  ],
  [
    ["serve", "--dir", "DIR/c", "--brun", "5"],
    78,
    /Cannot use bstop 3 %, bcull 5 %, brun 5 %: want bstop below/,
  ],
  [["serve", "--dir", "DIR/c", "--fstop", "150%"], 78, /Cannot use fstop 150 %: want 0 or more, below 100$/],
  [["serve", "--dir", "DIR/c", "--shares", "afs"], 64, /Cannot use --shares "afs": want FS=MIN\.\.MAX/],
  [["serve", "--dir", "DIR/c", "--shares", "a=60..", "--shares", "b=50.."], 78, /minimum shares of 110 %/],
  [["serve", "--dir", "DIR/c", "--config", "DIR/none"], 78, /Cannot read .*\/none: there is no such file$/],
  [["serve", "--dir", "DIR/c", "--config", ""], 64, /Cannot use --config "": want a path$/],
  [
    ["serve", "--dir", "DIR/c", "--socket", `DIR/${"s".repeat(120)}`],
    64,
    /Cannot use --socket ".*s": want 1 to 107 and no zero byte$/,
  ],
  [["serve", "--dir", `DIR/${"c".repeat(120)}`], 64, /socket path .*want 1 to 107/],
  [["ping", "--socket", "s".repeat(108)], 64, /Cannot use --socket "s+": want 1 to 107/],
  [["serve", "--dir", "DIR/c", "--metrics", "9100"], 64, /Cannot use --metrics "9100": want HOST:PORT/],
  [["ping", "--dir", ""], 64, /Cannot use --dir "": want a path/],
  [["cull"], 64, /Cannot cull: neither --to nor --free is given, want one of them$/],
  [["cull", "--to", "1G", "--free", "1G"], 64, /Cannot cull: --to and --free are given, want one of them$/],
  [
    ["cull", "--to", "5%"],
    64,
    /Cannot read size "5%": want bytes or a size such as 10GiB, not a percentage$/,
  ],
  [["cull", "--free", "-1"], 64, /Cannot read size "-1": want bytes/],
  [["wipe", "--dir", "DIR"], 64, /Cannot ask here whether to wipe: give --yes/],
  [["wipe", "--yes", "--dir", "DIR/none"], 78, /Cannot wipe .*none: there is no cache in it/],
  [["fsck", "--dir", "DIR/none"], 8, /Cannot check .*none: there is no cache in it/],
  [["warm", "--origin", "nonsense", "DIR"], 64, /Cannot use --origin "nonsense": want NAME=PATH/],
  [["warm", "--origin", "n=/does/not/exist", "DIR"], 66, /Cannot use --origin .*ENOENT/],
];

test("says in one line what is wrong, with the exit status for it", async () => {
  await withDirectory(async (directory) => {
    await forEachConcurrent(REFUSED, 4, async ([args, status, message]) => {
      const finished = await run(args.map((arg) => arg.replace("DIR", directory)));
      const line = onlyLine(finished);
      assert.match(line, message);
      assert.equal(finished.status, status, line);
      assert.equal(finished.stdout, "");
    });
    assert.deepEqual(readdirSync(directory), [], "nothing was made");
  });
});

test("every command that needs a daemon says which socket it tried, and how to start one", async () => {
  await withDirectory(async (directory) => {
    const tag = [...TAG, "--block", "0"];
    const commands = [
      ["status"],
      ["ping"],
      ["stop"],
      ["warm", directory],
      ["cat", directory],
      ["check", directory],
      ["get", ...tag],
      ["put", ...tag],
      ["cull", "--to", "0"],
      ["cull", "--free", "1"],
    ];
    await Promise.all(
      commands.map(async (command) => {
        const finished = await run([...command, "--dir", directory], { input: "x" });
        assert.equal(finished.status, 69, command[0]);
        const line = onlyLine(finished);
        assert.ok(line.includes(join(directory, "sock")), line);
        assert.match(line, /tagcache serve/);
      }),
    );
  });
});

test("takes global options before and after the command, and from the environment", async () => {
  const where = async (args: string[], env: Record<string, string> = {}) =>
    /answers on (\S+?):? /.exec((await run(args, { env })).stderr)?.[1];
  assert.equal(await where(["--dir", "/no/1", "ping"]), "/no/1/sock");
  assert.equal(await where(["ping", "--dir", "/no/2"]), "/no/2/sock");
  assert.equal(await where(["ping"], { TAGCACHE_DIR: "/no/3" }), "/no/3/sock");
  assert.equal(await where(["ping", "--dir", "/no/4"], { TAGCACHE_DIR: "/no/3" }), "/no/4/sock");
  assert.equal(await where(["ping", "--dir", "/no/4"], { TAGCACHE_SOCKET: "/no/s" }), "/no/s");
  assert.equal(await where(["ping", "--socket", "/no/5"], { TAGCACHE_SOCKET: "/no/s" }), "/no/5");
  assert.equal(await where(["ping", "--dir", "/no/6"], { TAGCACHE_SOCKET: "" }), "/no/6/sock");
  if (process.getuid?.() === 0) assert.equal(await where(["ping"]), "/var/cache/tagcache/sock");
  else assert.equal(await where(["ping"], { XDG_CACHE_HOME: "/no/7" }), "/no/7/tagcache/sock");
});

test("never touches a directory that is not ours, whatever is asked", async () => {
  await withDirectory(async (directory) => {
    mkdirSync(join(directory, "theirs"));
    writeFileSync(join(directory, "theirs/data"), "x");
    writeFileSync(join(directory, "file"), "x");
    for (const [command, status] of [
      ["serve", 78],
      ["wipe", 78],
      ["fsck", 8],
    ] as const) {
      for (const name of ["theirs", "file"]) {
        const args = [command, ...(command === "wipe" ? ["--yes"] : []), "--dir", join(directory, name)];
        const finished = await run(args);
        assert.equal(finished.status, status, onlyLine(finished));
      }
    }
    assert.deepEqual(readdirSync(join(directory, "theirs")), ["data"]);
  });
});

test.run();
