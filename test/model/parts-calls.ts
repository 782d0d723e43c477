/** Makes the calls of the model test of parts of blocks: what each does to pages, and what it saw of them. */
import assert from "node:assert/strict";
import { PAGE_BYTES, SLOT_BYTES, SLOT_PAGES } from "../../index/core/layout.js";
import type { BlockCache, CookieHandle, VolumeHandle } from "../../engine/api.js";
import { type Look, at, endOfPage, looksOf, pagesOf, storedOf } from "./page-looks.js";
import { type Content, type Effect, NOTHING, ZEROS, endOf, pageBytes } from "./page-states.js";
import {
  type Call,
  type DropCall,
  type GetCall,
  type ReadCall,
  type WriteCall,
  placeOf,
} from "./parts-steps.js";

/** What a call did, page by page, and what it saw. */
export interface Outcome {
  readonly effect?: (file: number, page: number) => Effect | undefined;
  readonly looks?: readonly Look[];
}
/** A cache, and what is known of it before a call. */
export interface Known {
  readonly cache: BlockCache;
  /** By file. */
  readonly volumes: readonly VolumeHandle[];
  readonly cookies: readonly CookieHandle[];
  readonly tight: boolean;
  possible(file: number, page: number): Content[];
  sizeOf(file: number): number;
  /** How many bytes of a page belong to the file. */
  endOf(file: number, page: number): number;
  isPinned(file: number): boolean;
  nextVersion(): number;
}
const GONE: Effect = { kind: "gone" };

/** Makes a call, and holds against what is known what can be told at once if it is alone. */
export async function make(on: Known, what: Call, alone: boolean): Promise<Outcome> {
  switch (what.do) {
    case "write":
    case "zero":
      return write(on, what, alone);
    case "read":
      return read(on, what, alone);
    case "get":
      return get(on, what);
    case "resize":
      await cookieOf(on, what.file).resize(BigInt(what.sizeBytes));
      return {
        effect: (file, page) =>
          file === what.file ? { kind: "size", end: endOfPage(what.sizeBytes, page) } : undefined,
      };
    case "pin":
      await on.cache.pin(what.what);
      return {};
    case "unpin":
      await on.cache.unpin(what.what);
      return {};
    case "flush": {
      const { skipped } = await on.cache.flush(what.what, { dryRun: what.dryRun });
      if (!alone || what.dryRun) return {};
      assert.equal(skipped.inUse, 0);
      return gone((file) => what.files.includes(file) && !on.isPinned(file));
    }
    case "remove":
    case "forget":
    case "cache-forget":
    case "invalidate":
    case "invalidate-file":
    case "invalidate-volume":
      return drop(on, what, alone);
  }
}

async function drop(on: Known, what: DropCall, alone: boolean): Promise<Outcome> {
  switch (what.do) {
    case "remove": {
      const { file, block } = what;
      const removed = await on.cache.remove({ ...placeOf(file), block });
      const first = block * SLOT_PAGES;
      const pages = Array.from({ length: SLOT_PAGES }, (_, more) => on.possible(file, first + more));
      if (alone && !removed) assert.ok(pages.every((contents) => contents.includes(NOTHING)));
      return gone((other, page) => other === file && Math.floor(page / SLOT_PAGES) === block);
    }
    case "forget":
    case "cache-forget": {
      const range = { offsetBytes: BigInt(what.offsetBytes), lengthBytes: BigInt(what.lengthBytes) };
      if (what.do === "cache-forget") await on.cache.invalidate({ ...placeOf(what.file), range });
      else await cookieOf(on, what.file).invalidateRange(range.offsetBytes, range.lengthBytes);
      const touched = new Set(pagesOf(what.offsetBytes, what.lengthBytes).map(({ page }) => page));
      return gone((file, page) => file === what.file && touched.has(page));
    }
    case "invalidate":
      await on.cache.invalidate(what.what as { fs: string });
      return gone((file) => what.files.includes(file));
    case "invalidate-file":
      await cookieOf(on, what.file).invalidate();
      return gone((file) => file === what.file);
    case "invalidate-volume":
      await on.volumes[what.file]?.invalidate();
      return gone((file) => placeOf(file).fs === placeOf(what.file).fs);
  }
}

async function write(on: Known, what: WriteCall, alone: boolean): Promise<Outcome> {
  const { file, offsetBytes, lengthBytes } = what;
  const version = what.do === "zero" ? ZEROS : on.nextVersion();
  const asked = pagesOf(offsetBytes, lengthBytes);
  const bytes = asked.map(({ page, from, to }) => pageBytes(version, page).subarray(from, to));
  const cookie = cookieOf(on, file);
  const result = await (what.do === "zero"
    ? cookie.zero(BigInt(offsetBytes), lengthBytes)
    : cookie.write(BigInt(offsetBytes), Buffer.concat(bytes)));
  const stored = storedOf(what, result.stored);
  if (alone && !on.tight) assert.equal(result.bypass, undefined);
  else assert.ok(result.bypass === undefined || result.bypass === "stale", result.bypass);
  if (alone && result.bypass === undefined) {
    for (const { page, from, to } of asked) {
      const end = on.endOf(file, page);
      const covered = from === 0 && to >= end;
      const known = on.possible(file, page).every((content) => endOf(content) >= end);
      if (end <= from || (!covered && !known)) continue;
      const done = stored.get(page);
      assert.ok(done?.from === from && done.to === Math.min(to, end), `${at(file, page)} was not stored`);
    }
  }
  return {
    effect: (other, page) => {
      const part = other === file ? stored.get(page) : undefined;
      return part === undefined ? undefined : { kind: "write", from: part.from, to: part.to, version };
    },
  };
}

async function read(on: Known, what: ReadCall, alone: boolean): Promise<Outcome> {
  const { file, offsetBytes, lengthBytes } = what;
  const result = await cookieOf(on, file).read(BigInt(offsetBytes), lengthBytes);
  if (alone) assert.equal(result.bypass, undefined);
  else assert.ok(result.bypass === undefined || result.bypass === "stale", result.bypass);
  const length = result.bytes.length;
  if (alone) {
    assert.equal(length, Math.max(0, Math.min(lengthBytes, on.sizeOf(file) - offsetBytes)));
  }
  return { looks: looksOf(file, offsetBytes, result) };
}

async function get(on: Known, { file, block }: GetCall): Promise<Outcome> {
  const result = await on.cache.get({ ...placeOf(file), block });
  assert.notEqual(result.kind, "bypass");
  if (result.kind !== "hit") return {};
  const parts = pagesOf(block * SLOT_BYTES, result.bytes.length);
  return {
    looks: parts.map((part) => {
      const start = part.page * PAGE_BYTES - block * SLOT_BYTES;
      return { file, ...part, bytes: result.bytes.subarray(start, start + part.to), whole: false };
    }),
  };
}

function cookieOf({ cookies }: Known, file: number): CookieHandle {
  return cookies[file] as CookieHandle;
}

function gone(isGone: (file: number, page: number) => boolean): Outcome {
  return { effect: (file, page) => (isGone(file, page) ? GONE : undefined) };
}
