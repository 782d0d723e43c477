/** Hits of whole blocks and of 4 KiB, of every store that is there, against raw reads in the same rounds. */
import fs from "node:fs";
import { crc32 } from "@node-rs/crc32";
import { type GetResult, SLOT_BYTES, type Tag } from "../../engine/cache.js";
import { GROUP_BYTES, PAGE_BYTES, SLOT_PAGES } from "../../index/core/layout.js";
import type { Bench } from "./bench.js";
import type { Timings } from "./result.js";
import { type Contestant, type Note, measure, seeded, timed, timedEach, timedSync } from "./rounds.js";
import type { Store } from "./stores/store.js";
import { benchTag } from "./stores/tagcache.js";
import { BLOCKS } from "./working-set.js";

const ROUNDS = 21;
const BATCH_256K = 128;
const BATCH_4K = 1024;
/** Of those that are asked over a socket. */
const BATCH_4K_ASKED = 256;
/** Stores that take tens of times as long get smaller batches. */
const BATCH_SLOW = 16;
const SLOW: ReadonlySet<string> = new Set(["cacache"]);
const ASKED: ReadonlySet<string> = new Set(["socket", "redis"]);
/** Whole values have to be read for a part of them. */
const WHOLE_ONLY: ReadonlySet<string> = new Set(["cacache", "memcached"]);

/** Raw files are read here by descriptors that are open, as slots are. */
const isMeasured = ({ name }: Store): boolean => !name.startsWith("raw");

const random = seeded(1);
const block = Buffer.allocUnsafeSlow(SLOT_BYTES);
const page = block.subarray(0, PAGE_BYTES);
const group = Buffer.allocUnsafeSlow(GROUP_BYTES);
const anyBlock = (): number => random() % BLOCKS;
const anyPosition = (): number => (random() % SLOT_PAGES) * PAGE_BYTES;

/** One hit of 256 KiB after the other: `raw`, `floor` and each store by its name. */
export function wholeHits({ set, stores }: Bench): Promise<Timings> {
  const slot = (): number => set.slots[random() % set.slots.length] as number;
  const raw = (): void => void fs.readSync(slot(), block, 0, SLOT_BYTES, 0);
  const floor = (): void => {
    raw();
    crc32(block);
  };
  return measure(
    [
      { name: "raw", batch: async (note) => timedSync(BATCH_256K, raw, note) },
      { name: "floor", batch: async (note) => timedSync(BATCH_256K, floor, note) },
      ...stores
        .filter(isMeasured)
        .map((store) => hitsOf(store, SLOW.has(store.name) ? BATCH_SLOW : BATCH_256K, SLOT_BYTES)),
    ],
    ROUNDS,
  );
}

/** The same of 4 KiB at any page; `floor` checks 32 KiB, `page-floor` 4 KiB. */
export function pageHits({ set, stores }: Bench): Promise<Timings> {
  const slot = (): number => set.slots[random() % set.slots.length] as number;
  const raw = (): void => void fs.readSync(slot(), page, 0, PAGE_BYTES, anyPosition());
  const checked = (bytes: Buffer) => (): void => {
    raw();
    crc32(bytes);
  };
  const countOf = (name: string): number => {
    if (SLOW.has(name)) return BATCH_SLOW;
    if (WHOLE_ONLY.has(name)) return BATCH_256K;
    return ASKED.has(name) ? BATCH_4K_ASKED : BATCH_4K;
  };
  return measure(
    [
      { name: "raw", batch: async (note) => timedSync(BATCH_4K, raw, note) },
      { name: "floor", batch: async (note) => timedSync(BATCH_4K, checked(group), note) },
      { name: "page-floor", batch: async (note) => timedSync(BATCH_4K, checked(page), note) },
      ...stores.filter(isMeasured).map((store) => hitsOf(store, countOf(store.name), PAGE_BYTES)),
    ],
    ROUNDS,
  );
}

/** Hits with several in flight on one connection, of the stores that have one: `NAME-COUNT`. */
export async function hitsInFlight(stores: readonly Store[]): Promise<{ whole: Timings; pages: Timings }> {
  const blocks = Array.from({ length: 32 }, () => Buffer.allocUnsafeSlow(SLOT_BYTES));
  const pages = blocks.map((buffer) => buffer.subarray(0, PAGE_BYTES));
  const whole = (store: Store, inFlight: number): Contestant => ({
    name: `${store.name}-${inFlight}`,
    batch: (note) =>
      inParallel(
        store,
        BATCH_256K,
        inFlight,
        (worker) => store.get(anyBlock(), blocks[worker] as Buffer),
        note,
      ),
  });
  const part = (store: Store, inFlight: number): Contestant => ({
    name: `${store.name}-${inFlight}`,
    batch: (note) =>
      inParallel(
        store,
        WHOLE_ONLY.has(store.name) ? BATCH_256K : BATCH_4K,
        inFlight,
        (worker) => store.range(anyBlock(), anyPosition(), pages[worker] as Buffer),
        note,
      ),
  });
  return {
    whole: await measure(
      stores.flatMap((store) => [whole(store, 1), whole(store, 8)]),
      ROUNDS,
    ),
    pages: await measure(
      stores.flatMap((store) => [part(store, 1), part(store, 32)]),
      ROUNDS,
    ),
  };
}

function inParallel(
  store: Store,
  count: number,
  inFlight: number,
  hit: (worker: number) => boolean | Promise<boolean>,
  note: Note | undefined,
): Promise<number> {
  return timed(count, inFlight, async (_, worker) => expectHit(await hit(worker), store), note);
}

/** Without a promise more than the store has: it would cost as much as a part of a read of 4 KiB. */
function hitsOf(store: Store, count: number, lengthBytes: number): Contestant {
  const { name, cache } = store;
  const into = lengthBytes === SLOT_BYTES ? block : page;
  const offset = lengthBytes === SLOT_BYTES ? () => 0 : anyPosition;
  if (cache !== undefined) {
    const get = () => cache.get(tagAt(anyBlock()), { offsetBytes: offset(), lengthBytes, into });
    const check = (got: GetResult): void =>
      expectHit(got.kind === "hit" && got.bytes.length === lengthBytes, store);
    return { name, batch: (note) => timedEach(count, get, check, note) };
  }
  const hit = (): undefined | Promise<void> => {
    const answer =
      lengthBytes === SLOT_BYTES ? store.get(anyBlock(), into) : store.range(anyBlock(), offset(), into);
    if (typeof answer !== "boolean") return answer.then((there) => expectHit(there, store));
    expectHit(answer, store);
    return undefined;
  };
  return { name, batch: (note) => timed(count, 1, hit, note) };
}

const tags = Array.from({ length: BLOCKS }, (_, index) => benchTag(index));
const tagAt = (index: number): Tag => tags[index] as Tag;

function expectHit(there: boolean, { lossy }: Store): void {
  if (!there && lossy !== true) throw new Error("want a hit, got a miss");
}
