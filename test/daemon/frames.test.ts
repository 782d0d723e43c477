import * as assert from "uvu/assert";
import { suite } from "uvu";
import fc from "fast-check";
import { isCacheError } from "../../index/core/errors.js";
import { encodeFrame, FRAME_MAGIC, FrameParser, PREFIX_BYTES } from "../../engine/daemon/frames.js";
import { HEADER_BYTES_MAX, PAYLOAD_BYTES_MAX } from "../../engine/daemon/limits.js";

const frames = suite("frames");

type Frame = { header: string; payload: string };

function parserInto(found: Frame[], onFrame: () => boolean = () => true): FrameParser {
  let header = "";
  let payload = Buffer.alloc(0);
  return new FrameParser({
    onHeader: (bytes, payloadBytes) => {
      header = bytes.toString("hex");
      payload = Buffer.alloc(payloadBytes);
      return payload;
    },
    onFrame: () => {
      found.push({ header, payload: payload.toString("hex") });
      return onFrame();
    },
  });
}

function codeOf(bytes: Buffer, chunkBytes = bytes.length): string {
  const parser = parserInto([]);
  try {
    for (let at = 0; at < bytes.length; at += chunkBytes) parser.push(bytes.subarray(at, at + chunkBytes));
  } catch (error) {
    return isCacheError(error) ? error.code : String(error);
  }
  return "no error";
}

function prefix(headerBytes: number, payloadBytes: number): Buffer {
  const bytes = Buffer.alloc(PREFIX_BYTES);
  bytes.set(FRAME_MAGIC);
  bytes.writeUInt32LE(headerBytes, 4);
  bytes.writeUInt32LE(payloadBytes, 8);
  return bytes;
}

/** Hands over a piece of the stream as a socket would that reads to where the parser says. */
function readInto(parser: FrameParser, piece: Buffer): void {
  for (let at = 0; at < piece.length;) {
    const place = parser.stopped ? undefined : parser.place();
    const count = place === undefined ? piece.length - at : Math.min(place.length, piece.length - at);
    if (place === undefined) parser.push(piece.subarray(at));
    else {
      place.set(piece.subarray(at, at + count));
      parser.took(count);
    }
    at += count;
  }
}

const anyFrame = fc.record({
  header: fc.uint8Array({ minLength: 1, maxLength: 300 }),
  payload: fc.uint8Array({ maxLength: 500 }),
});

frames("finds the same frames however the bytes are chunked and wherever it is stopped", () => {
  fc.assert(
    fc.property(
      fc.array(anyFrame, { maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 20 }),
      fc.array(fc.boolean(), { minLength: 1 }),
      (sent, chunkSizes, stops) => {
        const stream = Buffer.concat(
          sent.map(({ header, payload }) => encodeFrame(header, payload.length, payload)),
        );
        const found: Frame[] = [];
        const parser = parserInto(found, () => stops[found.length % stops.length] === true);
        for (let at = 0, turn = 0; at < stream.length; turn += 1) {
          const chunkBytes = chunkSizes[turn % chunkSizes.length] ?? 1;
          parser.push(stream.subarray(at, at + chunkBytes));
          at += chunkBytes;
        }
        for (let turn = 0; parser.stopped && turn <= sent.length; turn += 1) parser.resume();
        const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
        assert.equal(
          found,
          sent.map(({ header, payload }) => ({ header: hex(header), payload: hex(payload) })),
        );
        assert.ok(parser.idle);
      },
    ),
  );
});

frames("finds the same frames where payloads are read straight to their place", () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(100_000), { minLength: 1, maxLength: 6 }),
      fc.array(fc.integer({ min: 1, max: 70_000 }), { minLength: 1, maxLength: 20 }),
      fc.array(fc.boolean(), { minLength: 1 }),
      (payloadBytes, chunkSizes, stops) => {
        const payloads = payloadBytes.map((length, index) => Buffer.alloc(length, `${index} ${length} `));
        const stream = Buffer.concat(
          payloads.map((payload) => encodeFrame(Buffer.of(0x80), payload.length, payload)),
        );
        const found: Frame[] = [];
        const parser = parserInto(found, () => stops[found.length % stops.length] === true);
        for (let at = 0, turn = 0; at < stream.length; turn += 1) {
          const chunkBytes = chunkSizes[turn % chunkSizes.length] ?? 1;
          const memory = Buffer.from(stream.subarray(at, at + chunkBytes));
          readInto(parser, memory);
          memory.fill(0xee); // the memory of a read is used for the next one
          at += chunkBytes;
        }
        for (let turn = 0; parser.stopped && turn <= payloads.length; turn += 1) parser.resume();
        assert.equal(
          found.map(({ payload }) => payload),
          payloads.map((payload) => payload.toString("hex")),
        );
        assert.ok(parser.idle);
      },
    ),
    { numRuns: 50 },
  );
});

frames("refuses what does not begin as a frame, at its first wrong byte", () => {
  assert.is(codeOf(Buffer.from("GET / HTTP/1.1\r\n")), "E_FRAME");
  assert.is(codeOf(Buffer.from("G")), "E_FRAME");
  assert.is(codeOf(Buffer.from("TCX")), "E_FRAME");
  assert.is(codeOf(Buffer.from("TCX"), 1), "E_FRAME");
  assert.is(codeOf(Buffer.from("TCF\u0002")), "E_PROTOCOL_VERSION");
  assert.is(codeOf(Buffer.from("TCF\u0002"), 1), "E_PROTOCOL_VERSION");
  assert.is(codeOf(Buffer.from("TCF\u0001")), "no error");
});

frames("refuses lengths beyond the limits before anything of that length is read", () => {
  assert.is(codeOf(prefix(0, 0)), "E_FRAME");
  assert.is(codeOf(prefix(HEADER_BYTES_MAX + 1, 0)), "E_FRAME");
  assert.is(codeOf(prefix(1, PAYLOAD_BYTES_MAX + 1)), "E_FRAME");
  assert.is(codeOf(prefix(0xffff_ffff, 0xffff_ffff), 5), "E_FRAME");
  assert.is(codeOf(prefix(HEADER_BYTES_MAX, PAYLOAD_BYTES_MAX)), "no error");
});

frames("writes no more of a payload once it is dropped, and keeps the framing", () => {
  const payload = Buffer.alloc(1000, 1);
  const stream = Buffer.concat([
    encodeFrame(Buffer.of(0x80), payload.length, payload),
    encodeFrame(Buffer.of(0x81), 0),
  ]);
  const target = Buffer.alloc(1000);
  const headers: number[] = [];
  const parser = new FrameParser({
    onHeader: (header) => {
      headers.push(header[0] ?? -1);
      return target;
    },
    onFrame: () => true,
  });
  parser.push(stream.subarray(0, 500));
  const writtenBytes = target.lastIndexOf(1) + 1;
  assert.ok(writtenBytes > 0 && writtenBytes < 500);
  parser.dropPayload();
  parser.push(stream.subarray(500));
  assert.is(target.lastIndexOf(1) + 1, writtenBytes);
  assert.equal(headers, [0x80, 0x81]);
});

frames.run();
