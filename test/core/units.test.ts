import assert from "node:assert/strict";
import { suite } from "uvu";
import { isCacheError } from "../../index/core/errors.js";
import { formatBytes, formatCount, parseSize } from "../../index/core/units.js";

const test = suite("sizes");
const GIB = 1024 ** 3;

const GOOD: [string, number][] = [
  ["0", 0],
  ["1048576", 1_048_576],
  ["512b", 512],
  ["64K", 65_536],
  ["64k", 65_536],
  ["64KiB", 65_536],
  ["512MiB", 512 * 1024 ** 2],
  ["10G", 10 * GIB],
  ["10GiB", 10 * GIB],
  ["10gib", 10 * GIB],
  [" 10 GiB ", 10 * GIB],
  ["1.5GiB", 1.5 * GIB],
  ["0.1K", 102],
  ["2T", 2 * 1024 ** 4],
  ["7P", 7 * 1024 ** 5],
  ["20%", 200],
  ["0.5%", 5],
  ["100%", 1000],
];

for (const [text, bytes] of GOOD) {
  test(`reads "${text}" as ${bytes}`, () => assert.equal(parseSize(text, { totalBytes: 1000 }), bytes));
}

const BAD: [string, RegExp][] = [
  ["", /^Cannot read size "": want bytes/],
  ["lots", /^Cannot read size "lots": want bytes \(1048576\), a size/],
  ["-1", /want bytes/],
  ["+1", /want bytes/],
  ["1e9", /want bytes/],
  ["0x10", /want bytes/],
  ["10 G iB", /want bytes/],
  ["10XiB", /want bytes/],
  ["1,5G", /want bytes/],
  [".5G", /want bytes/],
  ["1.5", /want whole bytes$/],
  ["10GB", /want GiB or G/],
  ["101%", /want at most 100%$/],
  ["9P", /want less than 8 PiB$/],
  ["99999999999999999999", /want less than 8 PiB$/],
  ["NaN", /want bytes/],
  ["Infinity", /want bytes/],
];

for (const [text, message] of BAD) {
  test(`refuses "${text}" in one line`, () => {
    assert.throws(
      () => parseSize(text, { totalBytes: 1000 }),
      (error: unknown) => {
        assert.ok(isCacheError(error, "E_ARGUMENT"));
        assert.match(error.message, message);
        assert.ok(!error.message.includes("\n"));
        return true;
      },
    );
  });
}

test("refuses a share where nothing can be shared", () => {
  assert.throws(() => parseSize("20%"), /want bytes or a size such as 10GiB, not a percentage$/);
});

test("shows bytes with one decimal and the fitting unit", () => {
  assert.equal(formatBytes(0), "0 B");
  assert.equal(formatBytes(1023), "1023 B");
  assert.equal(formatBytes(1024), "1.0 KiB");
  assert.equal(formatBytes(1024 ** 2 - 1), "1.0 MiB");
  assert.equal(formatBytes(1.5 * GIB), "1.5 GiB");
  assert.equal(formatBytes(1024 ** 6), "1024.0 PiB");
});

test("shows counts in groups of three", () => {
  assert.equal(formatCount(999), "999");
  assert.equal(formatCount(1_234_567), "1,234,567");
});

test.run();
