/**
 * A ride through everything that touches slot files, over a drive that may fail at any call: opens a cache that has
 * something, reads, writes, overwrites, culls, shrinks, closes. Every answer has to come in time and be right: a hit has the
 * bytes that were stored last, trouble is a bypass with a reason or an error with a code.
 */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { SLOT_BYTES } from "../../index/core/layout.js";
import { isCacheError } from "../../index/core/errors.js";
import type { BlockCache, OwnedCache, Tag } from "../../engine/api.js";
import { FaultyIo } from "../support/faulty-io.js";
import {
  MIB,
  bytesOf,
  expectSound,
  openAt,
  startOf,
  tagOf,
  until,
  withPlace,
} from "../support/temp-cache.js";

export const LIMITS = { capacityBytes: 6 * MIB, slotsMax: 28 } as const;
const SMALLER = { capacityBytes: 5 * MIB, slotsMax: 18 } as const;
const BEFORE = 12;
const CROWD = 30;
const ANSWER_MS_MAX = 4000;
const RECOVERED_MS_MAX = 25_000;

/** What is known of a block: the seeds of what it may hold. */
export class Known {
  readonly #seeds = new Map<string, { readonly may: readonly number[]; readonly lengthBytes: number }>();
  #seed = 0;

  async put(cache: BlockCache, tag: Tag, lengthBytes: number): Promise<boolean> {
    const seed = (this.#seed += 1);
    const answer = await inTime("put", cache.put(tag, bytesOf(seed, lengthBytes)));
    if (answer.kind === "bypass") assert.ok(answer.reason.length > 0);
    else this.#seeds.set(keyOf(tag), { may: [seed], lengthBytes });
    return answer.kind === "stored";
  }

  /** @returns whether it is a hit. */
  async get(cache: BlockCache, tag: Tag): Promise<boolean> {
    const answer = await inTime("get", cache.get(tag));
    if (answer.kind !== "hit") return false;
    const known = this.#seeds.get(keyOf(tag));
    const right = known?.may.some((seed) => answer.bytes.equals(bytesOf(seed, known.lengthBytes)));
    assert.ok(right === true, `${JSON.stringify(tag)} has wrong bytes`);
    return true;
  }

  /** Nothing may be there any more, unless the call failed. */
  async remove(cache: BlockCache, tag: Tag): Promise<void> {
    if (await tried("remove", cache.remove(tag))) this.#seeds.delete(keyOf(tag));
  }
}

function keyOf({ inode, block }: Tag): string {
  return `${String(inode)} ${block}`;
}

/** What takes longer is a hang. */
export async function inTime<T>(what: string, promise: Promise<T>, msMax = ANSWER_MS_MAX): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} has no answer after ${msMax} ms`)), msMax);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** @returns whether it worked; else it was told so by a code that fits. */
export async function tried(what: string, promise: Promise<unknown>, msMax = 12_000): Promise<boolean> {
  try {
    await inTime(what, promise, msMax);
    return true;
  } catch (error) {
    const fits = isCacheError(error, "E_IO") || isCacheError(error, "E_NO_SPACE");
    if (!fits) throw error;
    return false;
  }
}

/** Leaves a clean cache with some blocks. */
async function prepare(directory: string, known: Known): Promise<void> {
  const cache = await openAt(directory, LIMITS);
  for (let block = 0; block < BEFORE; block += 1) {
    await known.put(cache, tagOf(block), block % 3 === 0 ? SLOT_BYTES : 5000 * (block + 1));
  }
  await cache.close();
}

async function use(cache: OwnedCache, known: Known): Promise<void> {
  for (let block = 0; block < BEFORE; block += 1) await known.get(cache, tagOf(block));
  for (let block = 0; block < BEFORE; block += 3) await known.put(cache, tagOf(block), 70_000);
  const volume = await cache.acquireVolume("test", "parts");
  const part = await volume.acquireCookie("file", { sizeBytes: 65_536n });
  for (const place of [0, 1, 0])
    await inTime("write", part.write(BigInt(place * 8192), bytesOf(place, 8192)));
  await inTime("read", part.read(0n, 65_536));
  await volume.relinquish();
  await known.remove(cache, tagOf(1));
  const crowd = Array.from({ length: CROWD }, (_, block) =>
    known.put(cache, tagOf(block, "crowd"), block % 2 === 0 ? SLOT_BYTES : 3000),
  );
  await Promise.all(crowd);
  for (let block = 0; block < CROWD; block += 1) await known.get(cache, tagOf(block, "crowd"));
  await tried("configure", cache.configure(SMALLER));
  await tried("configure", cache.configure(LIMITS));
  await tried("flush", cache.flush({ fs: "test", volume: "volume", inode: "crowd" }));
  for (let block = 0; block < BEFORE; block += 1) await known.put(cache, tagOf(block), 20_000);
}

/** The fault is over: the cache comes back by itself, and no slot is on its way for ever. */
export async function expectRecovered(cache: BlockCache, known: Known): Promise<void> {
  const tag = tagOf(1000, "after");
  await until(async () => (await known.put(cache, tag, 30_000)) && known.get(cache, tag), RECOVERED_MS_MAX);
  await until(async () => {
    const { slots } = await cache.status();
    return slots.used + slots.free + slots.quarantined === slots.total;
  });
}

export function descriptors(): number {
  return readdirSync("/proc/self/fd").length;
}

/** What was opened since has been closed again. */
export async function expectDescriptors(before: number): Promise<void> {
  await until(() => descriptors() <= before);
}

/** @param faults says of every call what becomes of it; called once the cache is to be opened. @returns the calls by operation. */
export async function ride(faults: FaultyIo["choose"]): Promise<FaultyIo> {
  const io = new FaultyIo();
  await withPlace(async (directory) => {
    const known = new Known();
    await prepare(directory, known);
    const cache = await openAt(directory, { ...LIMITS, io });
    io.choose = faults;
    await use(cache, known);
    const calls = Object.fromEntries(
      ["fdatasync", "closeSync"].map((name) => [name, io.calls(name as "open")]),
    );
    io.heal();
    await expectRecovered(cache, known);
    // The calls of a close have their turn too.
    io.choose =
      faults === undefined
        ? undefined
        : (operation, call) => (operation in calls ? faults(operation, call) : undefined);
    const clean = await tried("close", cache.close());
    io.heal();
    assert.equal((await startOf(directory, LIMITS)).kind, clean ? "clean" : "unclean");
    await expectSound(directory);
  });
  return io;
}
