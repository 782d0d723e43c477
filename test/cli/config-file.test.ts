/** The config file: what is read, and where exactly each kind of mistake is said to be. */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import { readConfigFile } from "../../cli/config/file.js";
import { tomlLine } from "../../cli/config/toml-text.js";
import { CliError } from "../../cli/exit-codes.js";
import { withDirectory } from "./run-cli.js";

const test = suite("config file");

/** What the file's values are, or the line that refuses them, with FILE for its path. */
function outcome(path: string, content: string | Uint8Array): unknown {
  writeFileSync(path, content);
  try {
    return Object.fromEntries([...(readConfigFile(path) ?? [])].map(([key, { text }]) => [key, text]));
  } catch (error) {
    assert.ok(error instanceof CliError, String(error));
    assert.equal(error.status, 78);
    assert.ok(!error.message.includes("\n"));
    return error.message.replace(path, "FILE");
  }
}

test("takes every key, numbers and text where both make sense", async () => {
  await withDirectory(async (directory) => {
    const path = join(directory, "tagcache.toml");
    const full = `# all there is
dir = "/nvme/cache"
state-dir = '/var/lib/tagcache'
"socket" = "/run/tagcache.sock"   # quoted
capacity = 1_073_741_824
slots = "1000"
index-share = 3.5
brun = 8
bcull = "6%"
bstop = 4.0
frun = "8 %"
fcull = 6
fstop = 4
shares = [
  "afs=10%..50%",
  "nfs/a,b=..30", # a comma in a name
]
on-unclean = "wipe"
log-level = "warn"
log-format = """json"""
`;
    const wanted = {
      dir: "/nvme/cache",
      "state-dir": "/var/lib/tagcache",
      socket: "/run/tagcache.sock",
      capacity: "1073741824",
      slots: "1000",
      "index-share": "3.5%",
      brun: "8%",
      bcull: "6%",
      bstop: "4%",
      frun: "8%",
      fcull: "6%",
      fstop: "4%",
      shares: "afs=10%..50%,nfs/hex:612c62=..30%",
      "on-unclean": "wipe",
      "log-level": "warn",
      "log-format": "json",
    };
    assert.deepEqual(outcome(path, full), wanted);
    assert.deepEqual(outcome(path, `\uFEFF${full.replaceAll("\n", "\r\n")}`), wanted);
    assert.deepEqual(readConfigFile(path)?.get("capacity"), {
      text: "1073741824",
      source: "file",
      origin: `${path}:5`,
    });
    assert.deepEqual(outcome(path, 'capacity = "20%"\nshares = "a=1..2, b=..3"'), {
      capacity: "20%",
      shares: "a=1%..2%,b=..3%",
    });
    assert.deepEqual(outcome(path, "shares = []"), { shares: "" });
    assert.deepEqual(outcome(path, ""), {});
  });
});

/** Content and the line. */
const REFUSED: [string | Uint8Array, string][] = [
  ['dir = "/a"\ncapacty = "1G"', 'FILE:2:1: unknown key "capacty", did you mean capacity?'],
  ["  colour = 1", 'FILE:1:3: unknown key "colour", "tagcache serve --help" lists them'],
  ["limits.capacity = 1", 'FILE:1:1: unknown key "limits.capacity", "tagcache serve --help" lists them'],
  ["slots = 9\n\n[limits]\ncapacity = 1", "FILE:3:1: [limits] is a table, want keys alone"],
  ["[[shares]]", "FILE:1:1: [shares] is a table, want keys alone"],
  ["slots = true", "FILE:1:9: slots is a boolean, want a whole number"],
  ["slots = 1.5", "FILE:1:9: slots is a float, want a whole number"],
  ["slots = -1", 'FILE:1:9: slots is "-1", want a whole number'],
  ["brun = 2026-01-02", "FILE:1:8: brun is a date or time, want a percentage (7%)"],
  ["brun = nan", 'FILE:1:8: brun is "NaN", want a percentage (7%)'],
  ["log-level = 3", "FILE:1:13: log-level is an integer, want one of error, warn, info, debug"],
  ["dir = { path = 1 }", "FILE:1:7: dir is a table, want a path"],
  ['dir = ["/a"]', "FILE:1:7: dir is an array, want a path"],
  ['dir = "cache"', 'FILE:1:7: dir is "cache", want an absolute path'],
  ['socket = ""', 'FILE:1:10: socket is "", want an absolute path or "none"'],
  ['socket = "sock"', 'FILE:1:10: socket is "sock", want an absolute path or "none"'],
  ["socket = 3", 'FILE:1:10: socket is an integer, want a path or "none"'],
  ['capacity = "10GB"', 'FILE:1:12: capacity is "10GB", want GiB or G (powers of 1024) in place of GB'],
  ['capacity = 1\n\tlog-format   =   "xml"', 'FILE:2:19: log-format is "xml", want one of text, json'],
  [
    'shares = [\n  "afs=1..2",\n  "afs",\n]',
    'FILE:3:3: shares has "afs" in it, want FS=MIN..MAX or FS/VOLUME=MIN..MAX (afs=10%..50%)',
  ],
  [
    'shares = ["afs=1..2", 3]',
    "FILE:1:23: shares has an integer in it, want an array of FS=MIN..MAX or FS/VOLUME=MIN..MAX (afs=10%..50%)",
  ],
  [
    "shares = 3",
    "FILE:1:10: shares is an integer, want an array of FS=MIN..MAX or FS/VOLUME=MIN..MAX (afs=10%..50%)",
  ],
  ["slots = 1\nslots = 2", "FILE:2:1: defining a key multiple times is invalid"],
  ["slots =\nbrun = 7", 'FILE:1:8: there is no value behind "="'],
  ["slots = ", 'FILE:1:8: there is no value behind "="'],
  ['dir = "/a\nslots = 1', "FILE:1:10: unterminated string constant"],
  ["slots 1", "FILE:1:7: expected equal (=) token"],
  ["slots = 1 2", "FILE:1:11: must be a newline"],
  ['shares = ["a=..1"', "FILE:1:18: unterminated array"],
  [`shares = ${"[".repeat(50_000)}${"]".repeat(50_000)}`, "FILE:1:1: it is nested too deep"],
  [Buffer.from([0x64, 0xff]), "FILE: it is no UTF-8 text"],
  [Buffer.alloc(1024 * 1024 + 1, "#"), "FILE: it has more than 1048576 bytes"],
];

test("says in one line what is wrong and where", async () => {
  await withDirectory(async (directory) => {
    const path = join(directory, "tagcache.toml");
    for (const [content, line] of REFUSED) assert.equal(outcome(path, content), `Cannot read ${line}`);
  });
});

test("one that is absent is no failure, one that cannot be read is", async () => {
  await withDirectory(async (directory) => {
    assert.equal(readConfigFile(join(directory, "none")), undefined);
    assert.equal(readConfigFile(join(directory, "none/none")), undefined);
    mkdirSync(join(directory, "folder"));
    assert.throws(
      () => readConfigFile(join(directory, "folder")),
      /^CliError: Cannot read .*folder: EISDIR$/,
    );
    assert.deepEqual([...(readConfigFile("/dev/null") ?? [["absent"]])], []);
  });
});

test("reads back what is dumped, whatever the text", async () => {
  await withDirectory(async (directory) => {
    const path = join(directory, "tagcache.toml");
    const value = '/a"\\\t\u0001\u007F\u0085 # é 𝄞';
    assert.deepEqual(outcome(path, tomlLine({ key: "dir", value, source: "file", origin: "/b\n:1" })), {
      dir: value,
    });
  });
});

test.run();
