/**
 * What a cache may answer: every tag has a set of versions that a get may find, 0 for none. Alone it is one version,
 * after calls that ran together it may be several, until the next look. Under pressure 0 is always among them.
 */
import assert from "node:assert/strict";
import { SLOT_BYTES } from "../../index/core/layout.js";
import type { BlockCache, CookieHandle, FileReadResult, VolumeHandle } from "../../engine/api.js";
import type { OpenCacheOptions } from "../../engine/cache.js";
import { bytesOf, openAt, tagOf } from "../support/temp-cache.js";
import {
  BLOCKS,
  type Call,
  FILES,
  FILE_BYTES,
  type Place,
  type Step,
  ends,
  placesOf,
  volumeOf,
} from "./steps.js";

type Options = Partial<OpenCacheOptions>;
const NONE = 0;

/** A cache and what is known of it; every answer is held against that. */
export class ModelRun {
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
      case "put":
      case "get":
      case "has":
      case "remove":
      case "read":
      case "write":
      case "invalidate":
      case "invalidate-volume":
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
        if (!alone && result.bypass === "stale") {
          // It was invalidated meanwhile, and nothing of it is told then.
          const missing = result.missing.reduce((sum, range) => sum + range.lengthBytes, 0);
          assert.equal(missing, result.bytes.length);
          return [];
        }
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
      // A block is there from its start, up to its last whole page, so what is missing of a piece is its end.
      const gotEnd = gap === undefined ? pieceEnd : Math.max(at, Number(gap.offsetBytes));
      const lengthBytes = (gap === undefined ? pieceEnd : gotEnd) - at;
      const range = { offsetBytes: at - number * SLOT_BYTES, lengthBytes };
      const got = result.bytes.subarray(at - what.offsetBytes, gotEnd - what.offsetBytes);
      const rest = result.bytes.subarray(gotEnd - what.offsetBytes, pieceEnd - what.offsetBytes);
      assert.ok(rest.every((byte) => byte === 0));
      if (got.length > 0) this.#saw({ file: what.file, block: number }, got, range, alone);
      at = pieceEnd;
    }
  }
}
