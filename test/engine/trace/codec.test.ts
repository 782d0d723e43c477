import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { suite } from "uvu";
import { TraceEncoder, traceHeader } from "../../../engine/trace/encoder.js";
import { TRACE_OUTCOMES, type TraceAccess } from "../../../engine/trace/format.js";
import { TraceReader } from "../../../engine/trace/reader.js";
import { fixturePath } from "../../index/support.js";
import { goldenTrace } from "./trace-cases.js";

const codec = suite("bytes of a trace");

/** In parts of so many bytes, as a file comes. */
async function* parts(bytes: Buffer, partBytes = bytes.length): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += partBytes) {
    yield await Promise.resolve(bytes.subarray(at, at + partBytes));
  }
}

async function readAll(bytes: Buffer, partBytes?: number) {
  const reader = new TraceReader(parts(bytes, partBytes));
  const accesses: TraceAccess[] = [];
  for await (const some of reader) accesses.push(...some);
  return { reader, accesses };
}

codec("keeps every byte", () => {
  const stored = readFileSync(fixturePath("trace.hex"), "utf8").replaceAll("\n", "");
  const why = "recordings in use have other bytes: raise TRACE_VERSION, then write fixtures/trace.hex anew";
  assert.equal(goldenTrace().toString("hex"), stored, why);
});

codec("gives back what was recorded", async () => {
  const { reader, accesses } = await readAll(goldenTrace(), 7);
  assert.equal(reader.startMs, 1_764_104_400_000);
  assert.deepEqual([reader.accesses, reader.files, reader.lost, reader.droppedBytes], [6, 2, 300, 0]);
  const told = accesses.map(({ file, ...rest }) => [file.number, ...Object.values(rest)]);
  assert.deepEqual(told, [
    [0, 0, 0, 262_144, "miss", 15],
    [0, 0, 0, 262_144, "stored", 1015],
    [0, 1, 0, 262_144, "refused", 1020],
    [0, 0, 4096, 100, "hit", 1024],
    [1, 2 ** 45 - 1, 262_143, 1, "bypass", 2 ** 40],
    [0, 1, 262_144, 0, "hit", 2 ** 40 + 127],
  ]);
  const { fs, volume, inode } = accesses[4]?.file ?? assert.fail();
  assert.deepEqual([fs.toString(), [...volume], inode.length], ["s3", [0, 255], 0]);
  assert.equal(accesses[0]?.file, accesses[5]?.file, "one object for one file");
});

const access = fc.record({
  file: fc.nat(3),
  block: fc.oneof(fc.nat(5), fc.nat(2 ** 45 - 1)),
  offsetBytes: fc.oneof(fc.constant(0), fc.nat(262_144)),
  length: fc.oneof(fc.constant(262_144), fc.nat(262_144)),
  outcome: fc.constantFrom(...TRACE_OUTCOMES),
  waitMicros: fc.oneof(fc.nat(200), fc.nat(2 ** 40)),
  cut: fc.boolean(),
});

codec("gives back any accesses, however they come in", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(access, { maxLength: 60 }),
      fc.integer({ min: 1, max: 400 }),
      async (all, size) => {
        const encoder = new TraceEncoder();
        const chunks = [traceHeader(1)];
        encoder.volume(Buffer.from("f"), Buffer.alloc(0));
        for (let file = 0; file < 4; file += 1) encoder.file(0, Buffer.from(`i${file}`));
        let atMicros = 0;
        const wanted = all.map(({ file, block, offsetBytes, length, outcome, waitMicros, cut }) => {
          atMicros += waitMicros;
          const lengthBytes = Math.min(length, 262_144 - offsetBytes);
          encoder.access(file, block, offsetBytes, lengthBytes, outcome, atMicros);
          if (cut) chunks.push(encoder.take() ?? assert.fail());
          return [`i${file}`, block, offsetBytes, lengthBytes, outcome, atMicros];
        });
        chunks.push(encoder.take() ?? Buffer.alloc(0));
        const { accesses } = await readAll(Buffer.concat(chunks), size);
        const found = accesses.map(({ file, ...rest }) => [file.inode.toString(), ...Object.values(rest)]);
        assert.deepEqual(found, wanted);
      },
    ),
    { numRuns: 100 },
  );
});

codec("a tail that is cut off anywhere, or damaged, is dropped; what is before it stays", async () => {
  const bytes = goldenTrace();
  const secondAt = 24 + 8 + bytes.readUInt32LE(24);
  for (let length = 24; length < bytes.length; length += 1) {
    const { reader, accesses } = await readAll(bytes.subarray(0, length), 11);
    assert.equal(accesses.length, length < secondAt ? 0 : 4, `${length} bytes`);
    assert.equal(reader.droppedBytes, length - (length < secondAt ? 24 : secondAt));
  }
  for (let at = secondAt; at < bytes.length; at += 1) {
    const damaged = Buffer.from(bytes);
    damaged[at] = (damaged[at] as number) ^ 0x40;
    const { reader, accesses } = await readAll(damaged, 11);
    assert.equal(accesses.length, 4, `byte ${at}`);
    assert.equal(reader.droppedBytes, bytes.length - secondAt);
  }
});

codec("what is no trace, or one of a later version, is refused", async () => {
  const later = Buffer.from(goldenTrace());
  later[8] = 2;
  for (const [bytes, code] of [
    [Buffer.alloc(0), "E_TRACE"],
    [Buffer.from("tagtrace"), "E_TRACE"],
    [Buffer.from("time,key\n1,2\nand more of what is no trace"), "E_TRACE"],
    [later, "E_FORMAT_VERSION"],
  ] as const) {
    await assert.rejects(readAll(bytes), { code });
  }
});

codec("records that contradict each other are refused, whatever their checksum says", async () => {
  const wrong: ((encoder: TraceEncoder) => void)[] = [
    (encoder) => encoder.access(0, 0, 0, 1, "hit", 0),
    (encoder) => encoder.file(0, Buffer.from("i")),
    (encoder) => encoder.volume(Buffer.alloc(256), Buffer.alloc(0)),
    (encoder) => {
      encoder.volume(Buffer.from("f"), Buffer.alloc(0));
      encoder.file(0, Buffer.alloc(0));
      encoder.access(0, 2 ** 45, 0, 1, "hit", 0);
    },
    (encoder) => {
      encoder.volume(Buffer.from("f"), Buffer.alloc(0));
      encoder.file(0, Buffer.alloc(0));
      encoder.access(0, 0, 200_000, 100_000, "hit", 0);
    },
  ];
  for (const make of wrong) {
    const encoder = new TraceEncoder();
    make(encoder);
    const bytes = Buffer.concat([traceHeader(1), encoder.take() ?? assert.fail()]);
    await assert.rejects(readAll(bytes), { code: "E_TRACE" });
  }
});

codec.run();
