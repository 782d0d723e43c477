/** The frames whose bytes fixtures/frames.json holds; run as a program it writes that file's content to stdout. */
import { encodeEntryList } from "../../engine/daemon/entry-list.js";
import { encodeFrame } from "../../engine/daemon/frames.js";
import { encodeHeader } from "../../engine/daemon/headers.js";
import type { Header } from "../../engine/daemon/headers.js";

const NAMES = { fs: Buffer.from("nfs"), volume: Buffer.from("vol\0"), inode: Buffer.from([1, 2, 255]) };

const CASES: ReadonlyArray<readonly [name: string, header: Header, payload?: Uint8Array]> = [
  ["hello", { id: 0, op: "hello", versionMin: 1, versionMax: 1 }],
  ["get", { id: 1, op: "get", ...NAMES, block: 7 }],
  ["get range", { id: 2, op: "get", ...NAMES, block: 2n ** 45n - 1n, offset: 4096, length: 4096 }],
  ["hit", { id: 1, status: "hit" }, Buffer.from("hello, block")],
  ["miss", { id: 2, status: "miss" }],
  ["bypass", { id: 2, status: "bypass", reason: "no-space" }],
  ["put", { id: 3, op: "put", ...NAMES, block: 0 }, Buffer.from([0, 1, 2, 3])],
  ["stored", { id: 3, status: "stored" }],
  ["read", { id: 2n ** 64n - 1n, op: "read", handle: 2, offset: 2n ** 40n, length: 300_000 }],
  [
    "read reply",
    { id: 4, status: "ok", length: 6, missing: [[2n ** 40n + 2n, 3]], size: 2n ** 41n },
    Buffer.from("abf"),
  ],
  ["lookup", { id: 6, op: "lookup", handle: 2, name: Buffer.from("a"), coherency: Buffer.from([1]) }],
  ["absent", { id: 6, status: "absent" }],
  [
    "put entries",
    { id: 7, op: "putEntries", handle: 2, listing: 2n ** 33n },
    encodeEntryList([{ name: Buffer.from("a"), inode: Buffer.from([1, 2]), type: 8, value: Buffer.of(255) }]),
  ],
  ["error", { id: 5, status: "error", code: "E_OPERATION", message: "Cannot serve" }],
  ["connection error", { status: "error", code: "E_FRAME", message: "Cannot read a frame" }],
];

/** Name to hexadecimal bytes. */
export function goldenFrames(): Record<string, string> {
  return Object.fromEntries(
    CASES.map(([name, header, payload]) => [
      name,
      encodeFrame(encodeHeader(header), payload?.length ?? 0, payload).toString("hex"),
    ]),
  );
}

if (process.argv[1] === import.meta.filename) {
  process.stdout.write(`${JSON.stringify(goldenFrames(), undefined, 2)}\n`);
}
