/** The trace whose bytes are in fixtures/trace.hex; run by itself, prints them. */
import { TraceEncoder, traceHeader } from "../../../engine/trace/encoder.js";

/** Two chunks: two files of two volumes, every kind of access, a loss. */
export function goldenTrace(): Buffer {
  const encoder = new TraceEncoder();
  encoder.volume(Buffer.from("afs"), Buffer.from("root.cell"));
  encoder.file(0, Buffer.from("1.2.3"));
  encoder.access(0, 0, 0, 262_144, "miss", 15);
  encoder.access(0, 0, 0, 262_144, "stored", 1015);
  encoder.access(0, 1, 0, 262_144, "refused", 1020);
  encoder.access(0, 0, 4096, 100, "hit", 1024);
  encoder.lost(300);
  const first = encoder.take() as Buffer;
  encoder.volume(Buffer.from("s3"), Buffer.from([0, 255]));
  encoder.file(1, Buffer.alloc(0));
  encoder.access(1, 2 ** 45 - 1, 262_143, 1, "bypass", 2 ** 40);
  encoder.access(0, 1, 262_144, 0, "hit", 2 ** 40 + 127);
  return Buffer.concat([traceHeader(1_764_104_400_000), first, encoder.take() as Buffer]);
}

if (process.argv[1] === import.meta.filename) {
  console.log(goldenTrace().toString("hex").replaceAll(/.{64}/g, "$&\n").trimEnd());
}
