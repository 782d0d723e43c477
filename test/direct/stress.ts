/**
 * Readers that read slot files themselves beside a daemon whose content changes as fast as it can: blocks are overwritten,
 * removed, culled and invalidated, slots go to the next tenant at once, the cache is wiped, shrunk and grown. The readers
 * are stopped and continued at random, in the middle of whatever they do.
 */
import assert from "node:assert/strict";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { BLOCKS_A_FILE, BLOCKS, FILES, Floors, tagOf, versionBytes } from "./versions.js";
import { MIB, randomOf } from "../support/temp-cache.js";
import { Child } from "../crash/children.js";
import type { Daemon } from "../crash/daemons.js";
import type { CacheClient } from "../../engine/daemon/client.js";

/** Too little for two hundred blocks. */
export const CAPACITY_MIB = 24;
const WRITERS = 4;
/** A writer rests so long at most between two changes: else most of what is read is on its way out. */
const REST_MS = 8;
const READERS = 4;

export interface StressReport {
  readonly hits: number;
  readonly directHits: number;
  readonly misses: number;
  readonly changes: number;
}

/** Runs until the readers have made so many hits. The daemon has a capacity of CAPACITY_MIB. Fails on any wrong byte. */
export async function stress(
  daemon: Daemon,
  options: { readonly directory: string; readonly seed: number; readonly hits: number },
): Promise<StressReport> {
  const floorsPath = path.join(options.directory, "..", "floors");
  const writer = await daemon.connect(20_000);
  const readers = Array.from({ length: READERS }, (_, place) => {
    // One of them checks no checksums: the two looks have to suffice.
    const args = [daemon.socketPath, floorsPath, String(options.seed + place), String(place !== 0)];
    return new Child("../direct/stress-reader", args);
  });
  try {
    const changer = new Changer(writer, new Floors(floorsPath), options.seed);
    await Promise.all(readers.map((reader) => reader.says("ready")));
    const writing = changer.run();
    const stopping = stopAndGo(readers, randomOf(options.seed + 99), () => changer.over);
    const total = (what: string): number =>
      readers.reduce((sum, reader) => sum + Number(reader.last(what) ?? 0), 0);
    while (total("hits") < options.hits && !readers.some((reader) => reader.hasSaid("failed")))
      await sleep(20);
    changer.over = true;
    await Promise.all([writing, stopping]);
    for (const reader of readers) reader.tell("stop");
    await Promise.all(readers.map((reader) => reader.says("done")));
    const { counters } = await writer.status();
    const { changes } = changer;
    return { hits: total("hits"), misses: total("misses"), directHits: counters.directHits, changes };
  } finally {
    await Promise.all(readers.map((reader) => reader.kill()));
    await writer.close();
  }
}

/** Whoever holds still in the middle of a read goes on later as if nothing had happened. */
async function stopAndGo(
  readers: readonly Child[],
  random: () => number,
  over: () => boolean,
): Promise<void> {
  while (!over()) {
    const reader = readers[Math.floor(random() * readers.length)] as Child;
    if (!reader.ended) {
      reader.process.kill("SIGSTOP");
      await sleep(random() * 30);
      reader.process.kill("SIGCONT");
    }
    await sleep(random() * 20);
  }
}

/** Changes what is cached, and says in the floors what may still be read. */
class Changer {
  over = false;
  changes = 0;
  readonly #cache: CacheClient;
  readonly #floors: Floors;
  readonly #random: () => number;
  /** The last version of each block that was begun. */
  readonly #versions = new Float64Array(BLOCKS);
  /** Blocks are changed by one writer at a time; all of them stand still for what concerns more than one. */
  readonly #busy = new Set<number>();

  constructor(cache: CacheClient, floors: Floors, seed: number) {
    this.#cache = cache;
    this.#floors = floors;
    this.#random = randomOf(seed);
  }

  async run(): Promise<void> {
    try {
      await Promise.all([...Array.from({ length: WRITERS }, () => this.#write()), this.#disturb()]);
    } finally {
      this.over = true;
      this.#floors.close();
    }
  }

  async #write(): Promise<void> {
    while (!this.over) {
      const number = Math.floor(this.#random() * (this.#random() < 0.5 ? BLOCKS : 12));
      if (this.#busy.has(number)) {
        await sleep(0);
        continue;
      }
      this.#busy.add(number);
      if (this.#random() < 0.05) await this.#remove(number);
      else await this.#put(number);
      this.#busy.delete(number);
      this.changes += 1;
      await sleep(this.#random() * REST_MS);
    }
  }

  async #put(number: number): Promise<void> {
    const version = (this.#versions[number] as number) + 1;
    this.#versions[number] = version;
    const put = await this.#cache.put(tagOf(number), versionBytes(number, version));
    // What was not stored may leave the old content where it was.
    if (put.kind === "stored") this.#floors.raise(number, version);
    else
      assert.ok(["stale", "closing", "no-space", "index-full", "overload"].includes(put.reason), put.reason);
  }

  async #remove(number: number): Promise<void> {
    const last = this.#versions[number] as number;
    await this.#cache.remove(tagOf(number));
    this.#floors.raise(number, last + 1);
  }

  /** Invalidates files, volumes and everything, wipes and changes the size. */
  async #disturb(): Promise<void> {
    while (!this.over) {
      await sleep(this.#random() * 120);
      const file = Math.floor(this.#random() * FILES);
      const { fs, volume, inode } = tagOf(file);
      const dice = this.#random();
      if (dice < 0.5)
        await this.#takeAway(
          (number) => number % FILES === file,
          () => this.#cache.invalidate({ fs, volume, inode }),
        );
      else if (dice < 0.7) {
        await this.#takeAway(
          (number) => number % 2 === file % 2,
          () => this.#cache.invalidate({ fs, volume }),
        );
      } else if (dice < 0.73)
        await this.#takeAway(
          () => true,
          () => this.#cache.invalidate({ fs }),
        );
      else if (dice < 0.76)
        await this.#takeAway(
          () => true,
          () => this.#cache.wipe(),
        );
      else if (dice < 0.8) await this.#resize();
      else await this.#cache.cull({ usedBytesMax: 10 * MIB });
    }
  }

  /** What had been begun before must not be read any more once this is done; what was begun meanwhile may. */
  async #takeAway(concerns: (number: number) => boolean, body: () => Promise<void>): Promise<void> {
    const done = this.#versions.map((last, number) => (this.#busy.has(number) ? last - 1 : last));
    await body();
    for (let number = 0; number < BLOCKS; number += 1) {
      if (concerns(number)) this.#floors.raise(number, (done[number] as number) + 1);
    }
  }

  async #resize(): Promise<void> {
    const capacity = `${12 + Math.floor(this.#random() * (CAPACITY_MIB - 11))}MiB`;
    // What is in use just now may stand in the way; the new capacity stands all the same.
    await this.#cache.setConfig(new Map([["capacity", capacity]])).catch((error: unknown) => {
      assert.match(String(error), /E_NO_SPACE|in use|Cannot/);
    });
  }
}

assert.ok(BLOCKS_A_FILE * FILES === BLOCKS);
