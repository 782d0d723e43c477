/**
 * A client in a process of its own that takes all it can get, one way after another: argv is the socket path. Told
 * `{ way }` it begins that and says `at <way>`; told `{ stop: way }` it ends all of its connections and says `stopped <way>`.
 */
import { SLOT_BYTES } from "../../index/core/layout.js";
import type { Header } from "../../engine/daemon/headers.js";
import { PAYLOAD_BYTES_MAX } from "../../engine/daemon/limits.js";
import { frameOf, HELLO, RawClient } from "./raw-client.js";
import { sleep } from "./with-server.js";

const [socketPath = ""] = process.argv.slice(2);
const NAMES = { fs: Buffer.from("nfs"), volume: Buffer.from("hostile"), inode: Buffer.from("i") };
const BLOCK = Buffer.alloc(SLOT_BYTES, 0x33);
const ALL = { all: true };
const WINDOW = 64;

let raws: RawClient[] = [];
let over = true;

function connections(count: number): RawClient[] {
  raws = Array.from({ length: count }, () => new RawClient(socketPath));
  for (const raw of raws) raw.hello();
  return raws;
}

/** Keeps WINDOW requests under way on each connection. */
function flood(count: number, next: (id: number) => { header: Header; payload?: Uint8Array }): void {
  for (const raw of connections(count)) {
    let sent = 0;
    const fill = (): void => {
      if (over || raw.closed) return;
      for (; sent - raw.frames.length < WINDOW; sent += 1) {
        const { header, payload } = next(sent + 1);
        raw.send({ id: sent + 1, ...header }, payload);
      }
      setTimeout(fill, 1);
    };
    fill();
  }
}

const heavy: readonly Header[] = [
  { op: "status" },
  { op: "tune" },
  { op: "ls", ...ALL },
  { op: "config" },
  { op: "flush", fs: NAMES.fs, dryRun: true },
  { op: "explain", ...NAMES, block: 1 },
  { op: "pins" },
];

const WAYS: Readonly<Record<string, () => void>> = {
  pings: () => flood(4, () => ({ header: { op: "ping" } })),
  "operators' calls": () => flood(4, (id) => ({ header: heavy[id % heavy.length] as Header })),
  "puts without end": () =>
    flood(4, (id) => ({ header: { op: "put", ...NAMES, block: id }, payload: BLOCK })),
  "invalidations without end": () => flood(4, () => ({ header: { op: "invalidate", fs: NAMES.fs } })),
  "leases without end": () => flood(4, (id) => ({ header: { op: "lease", ...NAMES, block: 10_000 + id } })),
  "pins without end": () =>
    flood(2, (id) => ({ header: { op: "pin", ...NAMES, inode: Buffer.from(`pin ${id}`) } })),
  "handles without end": () =>
    flood(8, () => ({ header: { op: "acquireVolume", fs: NAMES.fs, volume: NAMES.volume } })),
  "replies that are not taken": () => {
    for (const raw of connections(16)) {
      raw.send({ id: 1, op: "put", ...NAMES, block: 0 }, BLOCK);
      for (let id = 2; id < 100; id += 1) raw.send({ id, op: "get", ...NAMES, block: 0 });
      raw.socket.pause();
    }
  },
  "half frames": () => {
    const write = frameOf({ id: 1, op: "write", handle: 1, offset: 0 }, Buffer.alloc(PAYLOAD_BYTES_MAX));
    for (const raw of connections(200)) raw.socket.write(write.subarray(0, SLOT_BYTES));
  },
  "connections without a word": () => {
    raws = Array.from({ length: 600 }, () => new RawClient(socketPath));
  },
  "connections that come and go": () => {
    const storm = async (): Promise<void> => {
      for (; !over; await sleep(1)) {
        for (let turn = 0; turn < 10; turn += 1) {
          const raw = new RawClient(socketPath);
          raw.socket.write(frameOf(HELLO), () => raw.destroy());
        }
      }
    };
    void storm(); // it ends with the way, and nothing in it fails
  },
};

process.on("message", ({ way, stop }: { way?: string; stop?: string }) => {
  if (stop !== undefined) {
    over = true;
    for (const raw of raws) raw.destroy();
    raws = [];
    process.send?.({ said: `stopped ${stop}` });
  }
  const begin = way === undefined ? undefined : WAYS[way];
  if (begin === undefined) return;
  over = false;
  begin();
  process.send?.({ said: `at ${way}` });
});

process.send?.({ said: "ready", ways: Object.keys(WAYS) });
