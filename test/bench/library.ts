/** The library against raw operations on the same slot files: hits of a whole block and of 4 KiB, and first puts. */
import fs from "node:fs";
import { promisify } from "node:util";
import { crc32 } from "@node-rs/crc32";
import { type GetResult, SLOT_BYTES } from "../../engine/cache.js";
import { GROUP_BYTES, PAGE_BYTES, SLOT_PAGES } from "../../index/core/layout.js";
import { type Result, resultOf } from "./result.js";
import { medians, seeded, timed, timedEach, timedSync } from "./rounds.js";
import { BLOCKS, IN_FLIGHT, type WorkingSet } from "./working-set.js";

const HIT_ROUNDS = 31;
const BATCH_256K = 256;
const BATCH_4K = 2048;
const PUT_ROUNDS = 7;
const write = promisify(fs.write);

/** Hits in random order: 256 KiB, and 4 KiB at a random page. */
export async function libraryHits(set: WorkingSet): Promise<Result[]> {
  const random = seeded(1);
  const block = Buffer.allocUnsafeSlow(SLOT_BYTES);
  const page = block.subarray(0, PAGE_BYTES);
  const group = Buffer.allocUnsafeSlow(GROUP_BYTES);
  const slot = (): number => set.slots[random() % set.slots.length] as number;
  const position = (): number => (random() % SLOT_PAGES) * PAGE_BYTES;
  const get = (offsetBytes: number, lengthBytes: number) =>
    set.cache.get(set.tag(random() % BLOCKS), { offsetBytes, lengthBytes, into: block });
  const hit = (lengthBytes: number) => (got: GetResult) => {
    if (got.kind !== "hit" || got.bytes.length !== lengthBytes)
      throw new Error(`want a hit, got ${got.kind}`);
  };
  const times = await medians(
    [
      {
        name: "raw-256k",
        batch: async () => timedSync(BATCH_256K, () => fs.readSync(slot(), block, 0, SLOT_BYTES, 0)),
      },
      {
        name: "floor-256k",
        batch: async () =>
          timedSync(BATCH_256K, () => {
            fs.readSync(slot(), block, 0, SLOT_BYTES, 0);
            crc32(block);
          }),
      },
      { name: "hit-256k", batch: () => timedEach(BATCH_256K, () => get(0, SLOT_BYTES), hit(SLOT_BYTES)) },
      {
        name: "raw-4k",
        batch: async () => timedSync(BATCH_4K, () => fs.readSync(slot(), page, 0, PAGE_BYTES, position())),
      },
      {
        name: "floor-4k",
        batch: async () =>
          timedSync(BATCH_4K, () => {
            fs.readSync(slot(), page, 0, PAGE_BYTES, position());
            crc32(group);
          }),
      },
      {
        name: "hit-4k",
        batch: () => timedEach(BATCH_4K, () => get(position(), PAGE_BYTES), hit(PAGE_BYTES)),
      },
    ],
    HIT_ROUNDS,
  );
  return [
    resultOf("library-hit-256k", times, "hit-256k", "floor-256k", "raw-256k", 1.3),
    resultOf("library-hit-4k", times, "hit-4k", "floor-4k", "raw-4k", 3),
  ];
}

/** First puts of all blocks into slots that exist and are free, 8 in flight; the raw overwrites go 8 in flight too. */
export async function libraryPuts(set: WorkingSet): Promise<Result[]> {
  const removeAll = () =>
    timed(BLOCKS, IN_FLIGHT, async (index) => void (await set.cache.remove(set.tag(index))));
  const content = (index: number): Buffer => set.content[index % set.content.length] as Buffer;
  const overwrite = async (index: number): Promise<void> => {
    await write(set.slots[index] as number, content(index), 0, SLOT_BYTES, 0);
  };
  const times = await medians(
    [
      { name: "removed", batch: removeAll },
      { name: "raw", batch: () => timed(BLOCKS, IN_FLIGHT, overwrite) },
      {
        name: "floor",
        batch: () =>
          timed(BLOCKS, IN_FLIGHT, (index) => {
            crc32(content(index));
            return overwrite(index);
          }),
      },
      {
        name: "put",
        batch: () =>
          timed(BLOCKS, IN_FLIGHT, async (index) => {
            const put = await set.cache.put(set.tag(index), content(index));
            if (put.kind !== "stored") throw new Error(`want it stored, got ${put.reason}`);
          }),
      },
    ],
    PUT_ROUNDS,
  );
  return [resultOf("library-put-256k", times, "put", "floor", "raw", 1.7)];
}
