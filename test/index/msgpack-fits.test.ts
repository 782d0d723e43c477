/** Counts and lengths of msgpack, held against msgpackr. */
import assert from "node:assert/strict";
import { Packr } from "msgpackr";
import { suite } from "uvu";
import { fitsMsgpack } from "../../index/msgpack-fits.js";
import { randomOf } from "../support/temp-cache.js";

const fits = suite("msgpack that fits");
const packr = new Packr({ useRecords: false, int64AsType: "bigint" });
const SEED = 20_261_127;
const ROUNDS = 2000;

function valueOf(random: () => number, depth: number): unknown {
  const pick = (count: number): number => Math.floor(random() * count);
  const length = pick(10) === 0 ? pick(70_000) : pick(40);
  switch (pick(depth > 0 ? 11 : 8)) {
    case 0:
      return null;
    case 1:
      return pick(2) === 0;
    case 2:
      return pick(2 ** 31) - 2 ** 30;
    case 3:
      return BigInt(pick(2 ** 31)) * 2n ** 32n;
    case 4:
      return random() * 1e9;
    case 5:
      return "é".repeat(length);
    case 6:
      return Buffer.alloc(length, 1);
    case 7:
      return new Date(pick(2 ** 31) * 1000);
    case 8:
      return new Map(Array.from({ length: pick(20) }, (_, key) => [key, valueOf(random, depth - 1)]));
    case 9:
      return Array.from({ length }, (_, place) => place % 100);
    default:
      return Array.from({ length: pick(20) }, () => valueOf(random, depth - 1));
  }
}

fits("is what was packed, and not what lacks its end", () => {
  const random = randomOf(SEED);
  for (let round = 0; round < ROUNDS; round += 1) {
    const bytes = Buffer.from(packr.pack(valueOf(random, 3)));
    assert.equal(fitsMsgpack(bytes), true, `round ${round}: ${bytes.toString("hex", 0, 40)}`);
    const end = Math.floor(random() * bytes.length);
    assert.equal(fitsMsgpack(bytes.subarray(0, end)), false, `round ${round}, ${end} bytes`);
  }
});

fits("is not what says that it has more than it has bytes for, or begins no value", () => {
  for (const hex of [
    "ddffffffff00",
    "dc000200",
    "dfffffffff",
    "de00010000".slice(0, 8),
    "92c0",
    "82c0c0c0",
    "c1",
  ]) {
    assert.equal(fitsMsgpack(Buffer.from(hex, "hex")), false, hex);
  }
  assert.equal(fitsMsgpack(Buffer.alloc(0)), false);
});

fits.run();
