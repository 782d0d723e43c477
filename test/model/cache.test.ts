/**
 * The whole cache against a map. Every tag has a set of versions that a get may find, 0 for none; alone it is one
 * version, after calls that ran together it may be several, until the next look. Under pressure 0 is always among them.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { suite } from "uvu";
import { SLOT_BYTES } from "../../index/core/layout.js";
import type { BlockCache, CookieHandle, FileReadResult, VolumeHandle } from "../../engine/api.js";
import type { OpenCacheOptions } from "../../engine/cache.js";
import {
  CAPACITY_BYTES,
  MIB,
  bytesOf,
  expectSound,
  openAt,
  tagOf,
  withPlace,
} from "../support/temp-cache.js";

const RUNS = 40;
const FILES = 4;
const BLOCKS = 6;
const FILE_BYTES = BLOCKS * SLOT_BYTES;

interface Place {
  /** 0 and 1 are files of the first volume, 2 and 3 of the second. */
  readonly file: number;
  readonly block: number;
}
type Call =
  | ({ readonly do: "put"; readonly lengthBytes: number } & Place)
  | ({ readonly do: "get"; readonly offsetBytes: number; readonly lengthBytes: number } & Place)
  | ({ readonly do: "has" | "remove" } & Place)
  | { readonly do: "read"; readonly file: number; readonly offsetBytes: number; readonly lengthBytes: number }
  | { readonly do: "write"; readonly file: number; readonly block: number; readonly blocks: number }
  | { readonly do: "invalidate"; readonly file: number }
  | { readonly do: "invalidate-volume"; readonly volume: number };
type Step =
  | Call
  | { readonly do: "wipe" | "reopen" }
  | { readonly do: "retire"; readonly file: number }
  | { readonly do: "together"; readonly calls: Call[] };

const file = fc.integer({ min: 0, max: FILES - 1 });
const block = fc.integer({ min: 0, max: BLOCKS - 1 });
const lengthBytes = fc.oneof(
  fc.integer({ min: 1, max: SLOT_BYTES }),
  fc.constantFrom(1, 4095, 4096, 4097, 32_768, 32_769, SLOT_BYTES - 1, SLOT_BYTES),
);
const call: fc.Arbitrary<Call> = fc.oneof(
  { weight: 10, arbitrary: fc.record({ do: fc.constant("put" as const), file, block, lengthBytes }) },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("get" as const),
      file,
      block,
      offsetBytes: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: SLOT_BYTES })),
      lengthBytes,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constantFrom("has" as const, "remove" as const), file, block }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("read" as const),
      file,
      offsetBytes: fc.integer({ min: 0, max: FILE_BYTES + 10 }),
      lengthBytes: fc.integer({ min: 0, max: 3 * SLOT_BYTES }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("write" as const),
      file,
      block,
      blocks: fc.integer({ min: 1, max: 3 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("invalidate" as const), file }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("invalidate-volume" as const),
      volume: fc.integer({ min: 0, max: 1 }),
    }),
  },
);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 20, arbitrary: call },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("together" as const),
      calls: fc.array(call, { minLength: 2, maxLength: 12 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("wipe" as const, "reopen" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("retire" as const), file }) },
);

type Options = Partial<OpenCacheOptions>;
const NONE = 0;
/** Overlapping destruction: the calls that end content, by the file they end it in. */
type Ends = (call: Call, file: number, block: number) => boolean;
const ends: Ends = (one, at, number) =>
  (one.do === "remove" && one.file === at && one.block === number) ||
  (one.do === "invalidate" && one.file === at) ||
  (one.do === "invalidate-volume" && one.volume === volumeOf(at));

function volumeOf(at: number): number {
  return at < FILES / 2 ? 0 : 1;
}

class Run {
  readonly #directory: string;
  readonly #options: Options;
  readonly #tight: boolean;
  /** By `file * BLOCKS + block`: versions that may be found. */
  #possible: Array<Set<number>> = [];
  readonly #lengths = new Map<number, number>();
  #version = 0;
  #cache: BlockCache | undefined;
  #volumes: VolumeHandle[] = [];
  #cookies: CookieHandle[] = [];

  constructor(directory: string, options: Options, tight: boolean) {
    this.#directory = directory;
    this.#options = options;
    this.#tight = tight;
    this.#forgetAll();
  }

  get cache(): BlockCache {
    assert.ok(this.#cache !== undefined);
    return this.#cache;
  }

  async open(): Promise<void> {
    this.#cache = await openAt(this.#directory, this.#options);
    await this.#acquire();
  }

  async close(): Promise<void> {
    await this.cache.close();
  }

  async step(what: Step): Promise<void> {
    switch (what.do) {
      case "wipe":
        await this.cache.wipe();
        this.#forgetAll();
        return this.#acquire();
      case "reopen": {
        await this.close();
        await this.open();
        const { start } = await this.cache.status();
        assert.equal(start.kind, "clean");
        return;
      }
      case "retire":
        await this.#cookies[what.file]?.relinquish({ retire: true });
        for (let number = 0; number < BLOCKS; number += 1) {
          this.#possible[what.file * BLOCKS + number] = new Set([NONE]);
        }
        return this.#acquireCookie(what.file);
      case "together":
        return this.#together(what.calls);
      default:
        return this.#together([what]);
    }
  }

  /** Every tag once, and the promises of the status. */
  async checkAll(): Promise<void> {
    for (let at = 0; at < FILES; at += 1) {
      for (let number = 0; number < BLOCKS; number += 1) {
        await this.#call({ do: "get", file: at, block: number, offsetBytes: 0, lengthBytes: SLOT_BYTES }, []);
      }
    }
    const status = await this.cache.status();
    assert.ok(status.usedBytes + status.indexBytes <= status.capacityBytes);
    assert.ok(status.slots.total <= status.slotsMax);
    assert.equal(status.corrupt, 0);
    assert.deepEqual(
      Object.keys(status.bypassed).filter((reason) => reason !== "stale"),
      [],
    );
  }

  async #acquire(): Promise<void> {
    this.#volumes = [
      await this.cache.acquireVolume("test", "one"),
      await this.cache.acquireVolume("test", "two"),
    ];
    this.#cookies = [];
    for (let at = 0; at < FILES; at += 1) await this.#acquireCookie(at);
  }

  async #acquireCookie(at: number): Promise<void> {
    const volume = this.#volumes[volumeOf(at)] as VolumeHandle;
    const cookie = await volume.acquireCookie(`file ${at}`, { sizeBytes: BigInt(FILE_BYTES) });
    assert.notEqual(cookie.outcome, "invalidated");
    this.#cookies[at] = cookie;
  }

  #forgetAll(): void {
    this.#possible = Array.from({ length: FILES * BLOCKS }, () => new Set([NONE]));
  }

  #at(place: Place): Set<number> {
    return this.#possible[place.file * BLOCKS + place.block] as Set<number>;
  }

  /** Runs calls at once; what they leave may come from any order of them. */
  async #together(calls: readonly Call[]): Promise<void> {
    const before = this.#possible.map((versions) => new Set(versions));
    const puts: Array<Place & { version: number }> = [];
    for (const one of calls) {
      for (const place of placesOf(one)) {
        const version = (this.#version += 1);
        this.#lengths.set(version, one.do === "put" ? one.lengthBytes : SLOT_BYTES);
        puts.push({ ...place, version });
        this.#at(place).add(version);
      }
    }
    for (const [place, versions] of this.#possible.entries()) {
      const [at, number] = [Math.floor(place / BLOCKS), place % BLOCKS];
      if (calls.length > 1 && calls.some((one) => ends(one, at, number))) versions.add(NONE);
    }
    const queue = [...puts];
    const stored = new Set<number>();
    await Promise.all(
      calls.map(async (one) => {
        const mine = queue.splice(0, placesOf(one).length);
        for (const version of await this.#call(one, mine, calls)) stored.add(version);
      }),
    );
    for (const [place, versions] of this.#possible.entries()) {
      const [at, number] = [Math.floor(place / BLOCKS), place % BLOCKS];
      const here = puts.filter((put) => put.file === at && put.block === number && stored.has(put.version));
      const ended = calls.some((one) => ends(one, at, number));
      if (here.length === 0 && !ended) {
        // A look may have told more than was known before.
        if (calls.length > 1) this.#possible[place] = before[place] as Set<number>;
        for (const put of puts) versions.delete(put.version);
      } else this.#possible[place] = new Set([...here.map((put) => put.version), ...(ended ? [NONE] : [])]);
    }
  }

  /** @returns the versions that were stored. */
  async #call(
    what: Call,
    puts: ReadonlyArray<Place & { version: number }>,
    together: readonly Call[] = [],
  ): Promise<number[]> {
    const alone = together.length <= 1;
    switch (what.do) {
      case "put": {
        const [put] = puts as [Place & { version: number }];
        const result = await this.cache.put(this.#tag(what), bytesOf(put.version, what.lengthBytes));
        if (result.kind === "stored") return [put.version];
        assert.equal(result.reason, "stale");
        assert.ok(together.some((one) => one.do === "invalidate" || one.do === "invalidate-volume"));
        return [];
      }
      case "get": {
        const range = { offsetBytes: what.offsetBytes, lengthBytes: what.lengthBytes };
        const result = await this.cache.get(this.#tag(what), range);
        assert.notEqual(result.kind, "bypass");
        this.#saw(what, result.kind === "hit" ? result.bytes : undefined, range, alone);
        return [];
      }
      case "has":
        assert.ok(this.#mayBe(what, await this.cache.has(this.#tag(what))));
        return [];
      case "remove": {
        const before = this.#versions(what);
        const removed = await this.cache.remove(this.#tag(what));
        assert.ok(before.some((version) => (version !== NONE) === removed));
        return [];
      }
      case "read": {
        const cookie = this.#cookies[what.file] as CookieHandle;
        const result = await cookie.read(BigInt(what.offsetBytes), what.lengthBytes);
        assert.equal(result.bypass, undefined);
        this.#sawFile(what, result, alone);
        return [];
      }
      case "write": {
        const cookie = this.#cookies[what.file] as CookieHandle;
        const bytes = Buffer.concat(puts.map((put) => bytesOf(put.version, SLOT_BYTES)));
        const { stored } = await cookie.write(BigInt(what.block * SLOT_BYTES), bytes);
        return puts
          .filter(({ block: number }) =>
            stored.some(
              (range) =>
                range.offsetBytes <= number * SLOT_BYTES &&
                range.offsetBytes + BigInt(range.lengthBytes) > number * SLOT_BYTES,
            ),
          )
          .map((put) => put.version);
      }
      case "invalidate":
        await this.#cookies[what.file]?.invalidate();
        return [];
      case "invalidate-volume":
        await this.#volumes[what.volume]?.invalidate();
        return [];
    }
  }

  #tag(place: Place) {
    return tagOf(place.block, `file ${place.file}`, volumeOf(place.file) === 0 ? "one" : "two");
  }

  #versions(place: Place): number[] {
    const versions = [...this.#at(place)];
    return this.#tight && !versions.includes(NONE) ? [...versions, NONE] : versions;
  }

  #mayBe(place: Place, present: boolean): boolean {
    return this.#versions(place).some((version) => (version !== NONE) === present);
  }

  /** One of the possible versions must explain what was found, `undefined` for nothing. */
  #saw(
    place: Place,
    found: Buffer | undefined,
    range: { offsetBytes: number; lengthBytes: number },
    alone: boolean,
  ): void {
    const fitting = this.#versions(place).filter((version) => {
      if (version === NONE || found === undefined) return version === NONE && found === undefined;
      const whole = bytesOf(version, this.#lengths.get(version) as number);
      return found.equals(whole.subarray(range.offsetBytes, range.offsetBytes + range.lengthBytes));
    });
    const who = `file ${place.file} block ${place.block}`;
    assert.ok(fitting.length > 0, `${who}: ${found === undefined ? "missing" : "wrong bytes"}`);
    if (alone) this.#possible[place.file * BLOCKS + place.block] = new Set(fitting);
  }

  #sawFile(
    what: { file: number; offsetBytes: number; lengthBytes: number },
    result: FileReadResult,
    alone: boolean,
  ) {
    const end = Math.min(what.offsetBytes + what.lengthBytes, FILE_BYTES);
    assert.equal(result.bytes.length, Math.max(0, end - what.offsetBytes));
    for (let at = what.offsetBytes; at < end;) {
      const number = Math.floor(at / SLOT_BYTES);
      const pieceEnd = Math.min(end, (number + 1) * SLOT_BYTES);
      const gap = result.missing.find(
        (range) => range.offsetBytes < pieceEnd && range.offsetBytes + BigInt(range.lengthBytes) > at,
      );
      // A block is there from its start, so what is missing of a piece is its end.
      const gotEnd = gap === undefined ? pieceEnd : Math.max(at, Number(gap.offsetBytes));
      const range = { offsetBytes: at - number * SLOT_BYTES, lengthBytes: pieceEnd - at };
      const got = result.bytes.subarray(at - what.offsetBytes, gotEnd - what.offsetBytes);
      const rest = result.bytes.subarray(gotEnd - what.offsetBytes, pieceEnd - what.offsetBytes);
      assert.ok(rest.every((byte) => byte === 0));
      if (got.length > 0) this.#saw({ file: what.file, block: number }, got, range, alone);
      at = pieceEnd;
    }
  }
}

/** What a call puts, block by block. */
function placesOf(one: Call): Place[] {
  if (one.do === "put") return [{ file: one.file, block: one.block }];
  if (one.do !== "write") return [];
  const blocks = Math.min(one.blocks, BLOCKS - one.block);
  return Array.from({ length: blocks }, (_, more) => ({ file: one.file, block: one.block + more }));
}

async function check(steps: readonly Step[], options: Options, tight: boolean): Promise<void> {
  await withPlace(async (directory) => {
    const run = new Run(directory, options, tight);
    await run.open();
    try {
      for (const what of steps) await run.step(what);
      await run.checkAll();
      await run.step({ do: "reopen" });
      await run.checkAll();
    } finally {
      await run.close();
    }
    await expectSound(directory);
  });
}

const model = suite("cache against a map");
const steps = fc.array(step, { minLength: 1, maxLength: 60, size: "max" });
const settings = { numRuns: RUNS, includeErrorInReport: true, interruptAfterTimeLimit: 60_000 };

model("with room for everything, nothing is ever missing and nothing wrong", async () => {
  const options = { capacityBytes: CAPACITY_BYTES };
  await fc.assert(
    fc.asyncProperty(steps, (all) => check(all, options, false)),
    settings,
  );
});

model("with 16 slots there are misses, and nothing wrong", async () => {
  const options = { capacityBytes: CAPACITY_BYTES, slotsMax: 16 };
  await fc.assert(
    fc.asyncProperty(steps, (all) => check(all, options, true)),
    settings,
  );
});

model("with 4 MiB there are misses, and nothing wrong", async () => {
  const options = { capacityBytes: 4 * MIB };
  await fc.assert(
    fc.asyncProperty(steps, (all) => check(all, options, true)),
    settings,
  );
});

model.run();
