/**
 * What a cache may answer of parts of files: every page has a set of contents that a look may find (page-states.ts). With
 * room for everything nothing that was stored is missing; under pressure anything may be, but for pinned files.
 */
import assert from "node:assert/strict";
import { PAGE_BYTES, SLOT_PAGES } from "../../index/core/layout.js";
import type { BlockCache, CookieHandle, VolumeHandle } from "../../engine/api.js";
import type { OpenCacheOptions } from "../../engine/cache.js";
import { openAt } from "../support/temp-cache.js";
import { type Look, at, blockOf, endOfPage } from "./page-looks.js";
import { type Content, NOTHING, ZEROS, bytesOfContent, endOf, orders } from "./page-states.js";
import { type Known, type Outcome, make } from "./parts-calls.js";
import {
  BLOCKS,
  type Call,
  FILE_BYTES,
  PINNABLE,
  PLACES,
  type PinCall,
  type Step,
  placeOf,
} from "./parts-steps.js";

const PAGES = BLOCKS * SLOT_PAGES;

export class PartsRun implements Known {
  readonly #directory: string;
  readonly #options: Partial<OpenCacheOptions>;
  readonly tight: boolean;
  /** By file and page. */
  #pages: Array<Array<ReadonlySet<Content>>> = [];
  readonly #sizes = PLACES.map((_, file) => FILE_BYTES - file * (PAGE_BYTES + 100));
  #pins = new Set<string>();
  #version = ZEROS;
  #cache: BlockCache | undefined;
  volumes: VolumeHandle[] = [];
  cookies: CookieHandle[] = [];

  constructor(directory: string, options: Partial<OpenCacheOptions>, tight: boolean) {
    this.#directory = directory;
    this.#options = options;
    this.tight = tight;
    this.#forgetAll();
  }

  async open(): Promise<void> {
    this.#cache = await openAt(this.#directory, this.#options);
    await this.#acquire();
  }

  async close(): Promise<void> {
    await this.cache.close();
  }

  get cache(): BlockCache {
    assert.ok(this.#cache !== undefined);
    return this.#cache;
  }

  async step(what: Step): Promise<void> {
    if (what.do === "wipe") {
      await this.cache.wipe();
      this.#forgetAll();
      await this.#acquire();
    } else if (what.do === "reopen") {
      await this.close();
      await this.open();
      const { start } = await this.cache.status();
      assert.equal(start.kind, "clean");
    } else await this.#together(what.do === "together" ? what.calls : [what]);
  }

  /** Every byte once, and the promises of the status. */
  async checkAll(): Promise<void> {
    for (const file of PLACES.keys()) {
      await this.#together([{ do: "read", file, offsetBytes: 0, lengthBytes: FILE_BYTES }]);
    }
    const status = await this.cache.status();
    assert.ok(status.usedBytes + status.indexBytes <= status.capacityBytes);
    assert.ok(status.slots.total <= status.slotsMax);
    assert.ok(status.pins.bytes <= status.pins.bytesMax);
    assert.equal(status.corrupt, 0);
  }

  async #acquire(): Promise<void> {
    this.volumes = [];
    this.cookies = [];
    for (const [file, { fs, volume, inode }] of PLACES.entries()) {
      const handle = await this.cache.acquireVolume(fs, volume);
      const cookie = await handle.acquireCookie(inode, { sizeBytes: BigInt(this.#sizes[file] as number) });
      assert.notEqual(cookie.outcome, "invalidated", `file ${file} has another size than before`);
      this.volumes.push(handle);
      this.cookies.push(cookie);
    }
    await this.#lookAtPins();
  }

  #forgetAll(): void {
    this.#pages = PLACES.map(() => Array.from({ length: PAGES }, () => new Set([NOTHING])));
  }

  /** Runs calls at once; what they leave may come from any order of them. */
  async #together(calls: readonly Call[]): Promise<void> {
    const alone = calls.length === 1;
    this.#mayLose(calls);
    const outcomes = await Promise.all(calls.map((one) => make(this, one, alone)));
    const sizesBefore = [...this.#sizes];
    for (const [file, cookie] of this.cookies.entries()) this.#noteSize(file, cookie, calls);
    const effects = outcomes.flatMap(({ effect }) => (effect === undefined ? [] : [effect]));
    const seen = effects.length === 0 ? undefined : this.#applyAll(effects, sizesBefore);
    for (const { looks = [] } of outcomes) for (const look of looks) this.#saw(look, alone, seen);
    await this.#lookAtPins(alone ? calls[0] : undefined, alone || calls.every((one) => !isPin(one)));
    this.#mayLose(calls);
  }

  #noteSize(file: number, cookie: CookieHandle, calls: readonly Call[]): void {
    const sizes = calls.flatMap((one) => (one.do === "resize" && one.file === file ? [one.sizeBytes] : []));
    const size = Number(cookie.sizeBytes);
    assert.ok(
      sizes.length === 0 ? size === this.#sizes[file] : sizes.includes(size),
      `file ${file}: size ${size}`,
    );
    this.#sizes[file] = size;
  }

  /** @returns what may have been seen of a page meanwhile. */
  #applyAll(effects: ReadonlyArray<NonNullable<Outcome["effect"]>>, sizesBefore: readonly number[]) {
    const seen = new Map<string, Set<Content>>();
    const known = new Map<string, ReturnType<typeof orders>>();
    for (const [file, pages] of this.#pages.entries()) {
      for (const page of pages.keys()) {
        const mine = effects.flatMap((effect) => effect(file, page) ?? []);
        if (mine.length === 0) continue;
        const start = this.possible(file, page);
        const endBefore = endOfPage(sizesBefore[file] as number, page);
        const key = JSON.stringify([start, endBefore, mine]);
        const result = known.get(key) ?? orders(start, endBefore, mine);
        known.set(key, result);
        const end = this.endOf(file, page);
        const left = new Set(result.last.flatMap((state) => (state.end === end ? [state.content] : [])));
        assert.ok(
          left.size > 0,
          `${at(file, page)}: no order of ${JSON.stringify(mine)} on ${start.join(" or ")}`,
        );
        // What ends before its page does cannot be read, and need not be kept.
        if ([...left].some((content) => endOf(content) < end)) left.add(NOTHING);
        pages[page] = left;
        seen.set(at(file, page), result.seen);
      }
    }
    return seen;
  }

  nextVersion(): number {
    this.#version += 1;
    return this.#version;
  }

  sizeOf(file: number): number {
    return this.#sizes[file] as number;
  }

  endOf(file: number, page: number): number {
    return endOfPage(this.sizeOf(file), page);
  }

  possible(file: number, page: number): Content[] {
    const contents = [...(this.#pages[file]?.[page] ?? [])];
    return this.tight && !this.isPinned(file) && !contents.includes(NOTHING)
      ? [...contents, NOTHING]
      : contents;
  }

  isPinned(file: number): boolean {
    return file === PINNABLE && this.#pins.size > 0;
  }

  /** What the calls may drop besides what they are to drop, or may drop or not. */
  #mayLose(calls: readonly Call[]): void {
    const alone = calls.length === 1;
    const pinning = calls.some(isPin);
    for (const one of calls) {
      if (one.do === "flush" && !one.dryRun && !alone) {
        for (const file of one.files) if (pinning || !this.isPinned(file)) this.#lose(file, 0, BLOCKS);
      } else if (isPin(one)) {
        if (this.tight && !(alone && this.isPinned(PINNABLE))) this.#lose(PINNABLE, 0, BLOCKS);
      } else if (alone && !this.tight) continue;
      else if (one.do === "resize") this.#lose(one.file, blockOf(one.sizeBytes));
      else if (one.do === "forget" || one.do === "cache-forget") {
        // Of a block that is forgotten in part, what cannot be kept goes.
        this.#lose(one.file, blockOf(one.offsetBytes));
        this.#lose(one.file, blockOf(one.offsetBytes + one.lengthBytes - 1));
      }
    }
  }

  #lose(file: number, block: number, blocks = 1): void {
    const pages = this.#pages[file] as Array<ReadonlySet<Content>>;
    for (let page = block * SLOT_PAGES; page < Math.min(PAGES, (block + blocks) * SLOT_PAGES); page += 1) {
      pages[page] = new Set([...(pages[page] as ReadonlySet<Content>), NOTHING]);
    }
  }

  /** One of the possible contents must explain what was found. */
  #saw(look: Look, alone: boolean, seen: ReadonlyMap<string, ReadonlySet<Content>> | undefined): void {
    const { file, page, from, to, bytes, whole } = look;
    const end = this.endOf(file, page);
    const possible = [...(seen?.get(at(file, page)) ?? this.possible(file, page))];
    const fitting = possible.filter((content) => {
      const known = endOf(content);
      if (bytes === undefined) return known < end || !alone;
      return (
        known >= (whole && alone ? end : to) && bytesOfContent(content, page).subarray(from, to).equals(bytes)
      );
    });
    const found = bytes === undefined ? "missing" : "wrong bytes";
    assert.ok(
      fitting.length > 0,
      `${at(file, page)} from ${from} to ${to}: ${found}, want ${possible.join(" or ")}`,
    );
    if (alone) (this.#pages[file] as Array<ReadonlySet<Content>>)[page] = new Set(fitting);
  }

  /** @param sure whether it is known which pins there are, after this call. */
  async #lookAtPins(last?: Call, sure = true): Promise<void> {
    const { pins } = await this.cache.pins();
    const now = new Set(pins.map(({ inode }) => (inode === undefined ? "volume" : "file")));
    assert.equal(now.size, pins.length);
    assert.ok(pins.every(({ fs }) => fs.toString() === placeOf(PINNABLE).fs));
    if (last?.do === "pin") this.#pins.add(nameOf(last));
    if (last?.do === "unpin") {
      if (!("fs" in last.what) || (!("volume" in last.what) && last.what.fs === placeOf(PINNABLE).fs))
        this.#pins.clear();
      else if ("volume" in last.what) this.#pins.delete(nameOf(last));
    }
    if (sure) assert.deepEqual([...now].toSorted(), [...this.#pins].toSorted());
    this.#pins = now;
  }
}

function nameOf({ what }: PinCall): string {
  return "inode" in what ? "file" : "volume";
}

function isPin(one: Call): boolean {
  return one.do === "pin" || one.do === "unpin";
}
