import * as assert from "uvu/assert";
import { suite } from "uvu";
import fc from "fast-check";
import { Packr } from "msgpackr";
import { isCacheError } from "../../index/core/errors.js";
import { decodeHeader } from "../../engine/daemon/header-decoder.js";
import { writeHeader } from "../../engine/daemon/header-writer.js";
import { encodeHeader } from "../../engine/daemon/headers.js";

const headers = suite("headers");

function codeOf(bytes: Uint8Array | readonly number[]): string {
  try {
    decodeHeader(Buffer.from(bytes));
  } catch (error) {
    return isCacheError(error) ? error.code : `thrown: ${String(error)}`;
  }
  return "no error";
}

headers("gives back what was encoded", () => {
  const header = {
    id: 2n ** 64n - 1n,
    op: "get",
    fs: Buffer.from("nfs"),
    block: 7,
    negative: -5,
    flag: true,
    nothing: null,
    pairs: [
      [1n << 60n, 5],
      [1n << 61n, 6],
    ],
    limits: { inner: { innermost: 1.5 } },
  };
  assert.equal(decodeHeader(encodeHeader(header)), header);
});

headers("refuses what is no map of plain values", () => {
  const packer = new Packr({ useRecords: false });
  assert.is(codeOf([]), "E_FRAME");
  assert.is(codeOf(packer.pack([1, 2])), "E_FRAME");
  assert.is(codeOf(packer.pack("text")), "E_FRAME");
  assert.is(codeOf(packer.pack({ date: new Date() })), "E_FRAME");
  assert.is(codeOf([0x81, 0x01, 0x01]), "E_FRAME", "a key that is a number");
  assert.is(codeOf([0x80, 0x00]), "E_FRAME", "bytes after the map");
  assert.is(codeOf([0x81, 0xa1, 0x61, 0xc1]), "E_FRAME", "the byte that msgpack never uses");
});

headers("refuses declared lengths that are not there, without taking memory for them", () => {
  for (const type of [0xdd, 0xdf, 0xc6, 0xdb]) {
    assert.is(codeOf([0x81, 0xa1, 0x61, type, 0xff, 0xff, 0xff, 0xff]), "E_FRAME");
  }
  assert.is(codeOf([0xdf, 0xff, 0xff, 0xff, 0xff]), "E_FRAME");
  assert.is(codeOf([0x81, 0xa1, 0x61, ...Buffer.alloc(100_000, 0x91)]), "E_FRAME", "too deep");
});

headers("throws E_FRAME or nothing, whatever the bytes", () => {
  const valid = encodeHeader({
    id: 1,
    op: "get",
    fs: Buffer.from("nfs"),
    list: [1, [2, "x"]],
    map: { a: null },
  });
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      assert.ok(["E_FRAME", "no error"].includes(codeOf([0x83, ...bytes])));
    }),
  );
  fc.assert(
    fc.property(fc.nat(valid.length - 1), fc.nat(255), (at, value) => {
      const bytes = Buffer.from(valid);
      bytes[at] = value;
      assert.ok(["E_FRAME", "no error"].includes(codeOf(bytes)));
    }),
    { numRuns: 1000 },
  );
});

headers("keeps __proto__ from reaching a prototype", () => {
  const bytes = Buffer.concat([
    Buffer.of(0x81, 0xa9),
    Buffer.from("__proto__"),
    Buffer.of(0x81, 0xa2),
    Buffer.from("op"),
    Buffer.of(0xa1),
    Buffer.from("x"),
  ]);
  assert.is(decodeHeader(bytes)["op"], undefined);
});

const flatHeader = fc.dictionary(
  fc.string({ maxLength: 40 }).filter((key) => key !== "id" && !/^\d+$|^__proto__$/.test(key)),
  fc.oneof(
    fc.string({ maxLength: 40 }),
    fc.integer({ min: -5, max: 2 ** 40 }),
    fc.double(),
    fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    fc.boolean(),
    fc.constant(null),
    fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  ),
  { maxKeys: 20 },
);

headers("are written in place as they are packed, or left to the packer", () => {
  let written = 0;
  fc.assert(
    fc.property(flatHeader, fc.nat(2 ** 33), fc.nat(600), (header, id, roomBytes) => {
      const target = Buffer.alloc(roomBytes + 8, 0xee);
      const end = writeHeader(target, 8, id, header);
      if (end === undefined) return;
      written += 1;
      assert.equal(target.subarray(8, end), encodeHeader({ id, ...header }));
    }),
    { numRuns: 2000 },
  );
  assert.ok(written > 100, `only ${written} were written`);
});

headers.run();
