/** Texts of settings, where the file is looked for, and the lines that `config dump` prints. */
import assert from "node:assert/strict";
import { suite } from "uvu";
import { limitsOf } from "../../engine/cache.js";
import { KEYS, KEY_NAMES, readFileValue, readValue, suggestion, variableOf } from "../../cli/config/keys.js";
import type { KeyName } from "../../cli/config/keys.js";
import { defaultLayer, limitOptionsFrom, overlay } from "../../cli/config/layers.js";
import { readRule, readRules, ruleText, rulesOf } from "../../cli/config/shares.js";
import { fileLocation } from "../../cli/config/sources.js";
import { tomlLine } from "../../cli/config/toml-text.js";

const test = suite("texts of settings");
const TIB = 1024 ** 4;
const DRIVE = { totalBytes: TIB, availableBytes: TIB, totalInodes: 0, availableInodes: 0 };

const read = (key: KeyName, text: string): string => {
  const reading = readValue(key, text);
  return reading.kind === "value" ? reading.text : `want ${reading.wanted}`;
};

test("sizes, numbers and percentages are taken as people write them", () => {
  for (const text of ["1048576", "10GiB", "1.5g", "20%", "0"]) assert.equal(read("capacity", text), text);
  assert.equal(read("capacity", " 10GiB "), "10GiB");
  assert.match(
    read("capacity", "lots"),
    /^want bytes \(1048576\), a size \(512MiB, 10G, 1\.5GiB\) or a share/,
  );
  assert.equal(read("capacity", "10GB"), "want GiB or G (powers of 1024) in place of GB");
  assert.equal(read("capacity", "101%"), "want at most 100%");
  assert.equal(read("capacity", "9PiB"), "want less than 8 PiB");
  assert.equal(read("slots", "007"), "7");
  for (const text of ["", "-1", "1.5", "1e3", "many", "9".repeat(16)]) {
    assert.equal(read("slots", text), "want a whole number");
  }
  assert.equal(read("brun", "7"), "7%");
  assert.equal(read("brun", " 7.25 % "), "7.25%");
  for (const text of ["", "%", "-1%", "1e2", ".5", "7%%", "NaN"]) {
    assert.equal(read("brun", text), "want a percentage (7%)");
  }
});

test("words, paths and lengths are checked", () => {
  assert.equal(read("log-level", "debug"), "debug");
  assert.equal(read("log-level", "Debug"), "want one of error, warn, info, debug");
  assert.equal(read("on-unclean", "hope"), "want one of wipe, verify");
  assert.equal(read("dir", ""), "want a path");
  assert.equal(read("socket", ""), 'want a path or "none"');
  assert.equal(read("socket", "none"), "none");
  assert.equal(read("dir", "a\0b"), "want no zero byte");
  assert.equal(read("dir", "x".repeat(8193)), "want at most 8192 characters");
  assert.equal(read("socket", "s".repeat(107)), "s".repeat(107));
  assert.equal(read("socket", "s".repeat(108)), "want 1 to 107 and no zero byte");
  assert.deepEqual(readFileValue("dir", "cache"), { kind: "malformed", wanted: "an absolute path" });
  assert.deepEqual(readFileValue("socket", "/s".repeat(60)), {
    kind: "malformed",
    wanted: "1 to 107 and no zero byte",
  });
});

test("shares have one grammar, and come back as they are shown", () => {
  const rules: [string, object, string][] = [
    ["afs=10%..50%", { fs: "afs", minPercent: 10, maxPercent: 50 }, "afs=10%..50%"],
    [" nfs = .. 30 ", { fs: "nfs", maxPercent: 30 }, "nfs=..30%"],
    ["afs/root.cell=5%..", { fs: "afs", volume: "root.cell", minPercent: 5 }, "afs/root.cell=5%.."],
    [
      "nfs/a/b=1=0.5..1.5",
      { fs: "nfs", volume: "a/b=1", minPercent: 0.5, maxPercent: 1.5 },
      "nfs/a/b=1=0.5%..1.5%",
    ],
    ["nfs/=..1", { fs: "nfs", volume: "", maxPercent: 1 }, "nfs/=..1%"],
    ["hex:00ff/hex:2c=..7", { fs: "hex:00ff", volume: "hex:2c", maxPercent: 7 }, "hex:00ff/hex:2c=..7%"],
    ["hex:612f62/v,=1..", { fs: "a/b", volume: "v,", minPercent: 1 }, "hex:612f62/hex:762c=1%.."],
    ["afs=..", { fs: "afs" }, "afs=.."],
  ];
  for (const [text, wanted, shown] of rules) {
    assert.deepEqual(readRule(text), { kind: "value", text: shown }, text);
    assert.deepEqual(readRule(shown), { kind: "value", text: shown }, "what is shown reads back");
    const [rule] = rulesOf(shown);
    assert.ok(rule !== undefined);
    assert.equal(ruleText(rule), shown);
    const { minPercent, maxPercent } = wanted as { minPercent?: number; maxPercent?: number };
    assert.deepEqual([rule.minPercent, rule.maxPercent], [minPercent, maxPercent]);
    assert.equal("volume" in rule, "volume" in wanted);
  }
  assert.deepEqual(readRules("a=1..2, b=..3"), { kind: "value", text: "a=1%..2%,b=..3%" });
  assert.deepEqual(readRules(" "), { kind: "value", text: "" });
  assert.deepEqual(rulesOf(""), []);
});

test("limits of the socket have bounds, and a message that says them", () => {
  const cases: [KeyName, string, string | undefined][] = [
    ["connections", " 100 ", "100"],
    ["connections", "0", undefined],
    ["connections", "16385", undefined],
    ["connections", "1.5", undefined],
    ["request-memory", "16MiB", "16MiB"],
    ["request-memory", "16777215", undefined],
    ["request-memory", "20%", undefined],
  ];
  for (const [key, text, shown] of cases) {
    const wanted = shown === undefined ? undefined : { kind: "value", text: shown };
    const reading = readValue(key, text);
    if (wanted !== undefined) assert.deepEqual(reading, wanted, text);
    else
      assert.match(
        reading.kind === "malformed" ? reading.wanted : "",
        /from 1 to 16384|at least 16\.0 MiB|at least 16 MiB/,
      );
  }
});

test("what is no share is refused", () => {
  const texts = [
    "afs",
    "=1..2",
    "afs=1",
    "afs=1...2",
    "afs=-1..2",
    "afs=1..2..3",
    "afs=a..b",
    "hex:0=1..2",
    "/v=1..2",
  ];
  for (const text of [
    ...texts,
    "hex:=1..2",
    `${"f".repeat(256)}=1..2`,
    "afs=1..2,",
    ",",
    "afs=1..2,,b=..1",
  ]) {
    assert.equal(readRules(text).kind, "malformed", text);
  }
});

test("the defaults are the engine's own", () => {
  const layer = overlay();
  assert.deepEqual(
    limitsOf(limitOptionsFrom(layer, "/"), DRIVE, { ownBytes: 0, indexBytes: 0 }),
    limitsOf({}, DRIVE, { ownBytes: 0, indexBytes: 0 }),
  );
  for (const [key, { text }] of defaultLayer()) assert.equal(read(key, text), text, key);
});

test("names of keys: variables, and what a misspelt one may mean", () => {
  assert.equal(variableOf("index-share"), "TAGCACHE_INDEX_SHARE");
  assert.equal(suggestion("capacty"), ", did you mean capacity?");
  assert.equal(suggestion("state_dir"), ", did you mean state-dir?");
  assert.equal(suggestion("Slots"), ", did you mean slots?");
  assert.equal(suggestion("brum"), ", did you mean brun?");
  for (const name of ["", "x", "colour", "__proto__", "c".repeat(10_000)]) assert.equal(suggestion(name), "");
});

test("the file is looked for where the flag, the variable, or the user's rank says", () => {
  assert.deepEqual(fileLocation("/f", { TAGCACHE_CONFIG: "/e" }, 0), { path: "/f", named: true });
  assert.deepEqual(fileLocation(undefined, { TAGCACHE_CONFIG: "/e" }, 0), { path: "/e", named: true });
  assert.deepEqual(fileLocation("f", {}, 0), { path: `${process.cwd()}/f`, named: true });
  const root = { path: "/etc/tagcache/tagcache.toml", named: false };
  assert.deepEqual(fileLocation(undefined, { TAGCACHE_CONFIG: "", XDG_CONFIG_HOME: "/x" }, 0), root);
  assert.deepEqual(fileLocation(undefined, { XDG_CONFIG_HOME: "/x" }, 1000), {
    path: "/x/tagcache/tagcache.toml",
    named: false,
  });
  for (const environment of [{}, { XDG_CONFIG_HOME: "relative" }]) {
    assert.match(
      fileLocation(undefined, environment, 1000).path,
      /^\/.*\/\.config\/tagcache\/tagcache\.toml$/,
    );
  }
});

test("dumped lines are TOML, whatever the text", () => {
  assert.equal(tomlLine({ key: "slots", value: "1024", source: "default" }), "slots = 1024  # default");
  assert.equal(
    tomlLine({ key: "capacity", value: "10GiB", source: "file", origin: "/etc/t.toml:3" }),
    'capacity = "10GiB"  # file /etc/t.toml:3',
  );
  assert.equal(
    tomlLine({ key: "shares", value: "a=1%..,b=..2%", source: "environment", origin: "TAGCACHE_SHARES" }),
    'shares = ["a=1%..", "b=..2%"]  # environment TAGCACHE_SHARES',
  );
  assert.equal(tomlLine({ key: "brun", value: "9%", source: "set" }), 'brun = "9%"  # set while running');
  assert.equal(tomlLine({ key: "capacity", value: "007", source: "flag" }), 'capacity = "007"  # flag');
  assert.equal(
    tomlLine({ key: "dir", value: '/a"\\\n\u007F', source: "file", origin: "/b\n:1" }),
    String.raw`dir = "/a\"\\\n\u007F"  # file hex:2f620a3a31`,
  );
});

test("every key has a flag in lower case and words for its help", () => {
  for (const key of KEY_NAMES) {
    assert.match(key, /^[a-z]+(-[a-z]+)*$/);
    assert.match(KEYS[key].placeholder, /^<[a-z]+>$/);
    assert.ok(KEYS[key].description.length > 5);
  }
});

test.run();
