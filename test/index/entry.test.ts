import assert from "node:assert/strict";
import fc from "fast-check";
import { suite } from "uvu";
import { changeGroup, groupEntryCount, readGroup, readGroupEntry } from "../../index/block-group.js";
import { NO_SLOT } from "../../index/core/layout.js";
import { decodeEntry, encodeEntry, ENTRY_BYTES } from "../../index/entry.js";
import type { Entry } from "../../index/entry.js";
import { entryOf, withCode } from "./support.js";

const entries = suite("entries");

/** Flips the bits of `mask` in one byte. */
function flip(bytes: Buffer, offset: number, mask: number): void {
  bytes[offset] = (bytes[offset] ?? 0) ^ mask;
}

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });

const anyEntry: fc.Arbitrary<Entry> = fc
  .record({
    version: fc.integer({ min: 0, max: 0xffff }),
    slot: fc.integer({ min: 0, max: NO_SLOT - 1 }),
    epoch: u32,
    sequence: fc.integer({ min: 0, max: 2 ** 48 - 1 }),
    maps: fc.tuple(u32, u32, u32, u32),
    checksumKind: fc.constantFrom(0, 1),
    sums: fc.array(u32, { minLength: 8, maxLength: 8 }),
  })
  .map(({ maps: [presentLow, presentHigh, zeroLow, zeroHigh], sums, ...rest }) => ({
    ...rest,
    validBytes: 262_144,
    presentLow,
    presentHigh,
    zeroLow: (zeroLow & ~presentLow) >>> 0,
    zeroHigh: (zeroHigh & ~presentHigh) >>> 0,
    sums: Uint32Array.from(sums),
  }));

entries("read back as they were written", () => {
  fc.assert(fc.property(anyEntry, (entry) => assert.deepEqual(decodeEntry(encodeEntry(entry)), entry)));
});

entries("of any other length give E_INDEX_CORRUPT", () => {
  const bytes = encodeEntry(entryOf(1));
  for (let length = 0; length < ENTRY_BYTES; length++) {
    assert.throws(() => decodeEntry(bytes.subarray(0, length)), withCode("E_INDEX_CORRUPT"));
  }
  assert.throws(() => decodeEntry(Buffer.concat([bytes, bytes])), withCode("E_INDEX_CORRUPT"));
});

entries("with a bit flipped in layout, checksum kind, flags or size give E_INDEX_CORRUPT", () => {
  // Of the other fields any value is possible; the checksums of the slot are what guards those.
  const checked = [0, 18, 19, 20, 21, 22, 23];
  for (const offset of checked) {
    for (let bit = 0; bit < 8; bit++) {
      const bytes = encodeEntry(entryOf(1));
      flip(bytes, offset, 1 << bit);
      assert.throws(() => decodeEntry(bytes), withCode("E_INDEX_CORRUPT"), `byte ${offset}, bit ${bit}`);
    }
  }
  for (let bit = 1; bit < 8; bit++) {
    const bytes = encodeEntry(entryOf(1));
    flip(bytes, 1, 1 << bit);
    assert.throws(() => decodeEntry(bytes), withCode("E_INDEX_CORRUPT"), `checksum kind, bit ${bit}`);
  }
});

entries("with a page both present and zero give E_INDEX_CORRUPT", () => {
  for (let offset = 32; offset < 40; offset++) {
    for (let bit = 0; bit < 8; bit++) {
      const bytes = encodeEntry(entryOf(1));
      flip(bytes, offset, 1 << bit);
      assert.throws(() => decodeEntry(bytes), withCode("E_INDEX_CORRUPT"));
    }
  }
});

entries("with pages past the valid bytes give E_INDEX_CORRUPT, whichever map they are in", () => {
  for (const pages of [0, 1, 31, 32, 33, 63]) {
    const low = pages >= 32 ? 0xffff_ffff : 2 ** pages - 1;
    const high = pages <= 32 ? 0 : 2 ** (pages - 32) - 1;
    const fitting = entryOf(1, { validBytes: pages * 4096, presentLow: low, presentHigh: high });
    assert.deepEqual(decodeEntry(encodeEntry(fitting)), fitting);
    for (const map of [24, 32]) {
      const bytes = encodeEntry(fitting);
      flip(bytes, map + (pages >>> 3), 1 << (pages & 7));
      assert.throws(() => decodeEntry(bytes), withCode("E_INDEX_CORRUPT"), `${pages} pages, map at ${map}`);
    }
  }
});

entries("with present pages and no slot give E_INDEX_CORRUPT", () => {
  const bytes = encodeEntry(entryOf(1));
  bytes.fill(0xff, 4, 8);
  assert.throws(() => decodeEntry(bytes), withCode("E_INDEX_CORRUPT"));
});

entries("that contradict themselves are not written", () => {
  assert.throws(() => encodeEntry(entryOf(NO_SLOT)), { name: "AssertionError" });
  assert.throws(() => encodeEntry(entryOf(1, { validBytes: 4096 })), { name: "AssertionError" });
  assert.throws(() => encodeEntry(entryOf(1, { sequence: 2 ** 48 })), { name: "AssertionError" });
});

entries("of eight neighbours share a record that changes as a map does", () => {
  const change = fc.tuple(fc.integer({ min: 16, max: 23 }), fc.option(anyEntry));
  fc.assert(
    fc.property(fc.array(fc.array(change, { minLength: 1, maxLength: 4 }), { maxLength: 6 }), (steps) => {
      const model = new Map<number, Entry>();
      let record: Buffer | undefined;
      for (const step of steps) {
        record = changeGroup(record, new Map(step));
        for (const [block, entry] of new Map(step)) {
          if (entry === null) model.delete(block);
          else model.set(block, entry);
        }
        const wanted = [...model].sort(([a], [b]) => a - b).map(([block, entry]) => ({ block, entry }));
        assert.deepEqual(record === undefined ? [] : readGroup(record, 16), wanted);
        if (record === undefined) continue;
        assert.equal(groupEntryCount(record), model.size);
        for (let block = 16; block < 24; block++) {
          assert.deepEqual(readGroupEntry(record, block), model.get(block));
        }
      }
    }),
  );
});

entries("in a record of the wrong length, or with no bit set, give E_INDEX_CORRUPT", () => {
  const record =
    changeGroup(
      undefined,
      new Map([
        [0, entryOf(1)],
        [5, entryOf(2)],
      ]),
    ) ?? Buffer.alloc(0);
  for (let length = 0; length < record.length; length++) {
    assert.throws(() => readGroup(record.subarray(0, length), 0), withCode("E_INDEX_CORRUPT"));
  }
  for (let bit = 0; bit < 8; bit++) {
    const flipped = Buffer.from(record);
    flip(flipped, 0, 1 << bit);
    assert.throws(() => readGroup(flipped, 0), withCode("E_INDEX_CORRUPT"));
  }
});

entries.run();
