/** Calls and steps of the model test of parts of blocks, and how they are drawn. */
import fc from "fast-check";
import { PAGE_BYTES, SLOT_BYTES } from "../../index/core/layout.js";
import type { Selector } from "../../engine/api.js";

/** The blocks of all files are more than the slots of a small cache; those of one are fewer than half of these. */
export const BLOCKS = 7;
export const FILE_BYTES = BLOCKS * SLOT_BYTES;
/** The last file is alone in the second volume, and it alone is ever pinned. Names repeat where they may. */
export const PLACES = [
  { fs: "test", volume: "volume", inode: "file 0" },
  { fs: "test", volume: "volume", inode: "file 1" },
  { fs: "test", volume: "volume", inode: "file 2" },
  { fs: "other", volume: "volume", inode: "file 0" },
] as const;
export const PINNABLE = PLACES.length - 1;

/** A selector, and the files that it means. */
export interface Target {
  readonly what: Selector;
  readonly files: readonly number[];
}
interface Range {
  readonly file: number;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}
export type WriteCall = { readonly do: "write" | "zero" } & Range;
export type ReadCall = { readonly do: "read" } & Range;
export interface GetCall {
  readonly do: "get";
  readonly file: number;
  readonly block: number;
}
/** Calls that take content away. */
export type DropCall =
  | ({ readonly do: "forget" | "cache-forget" } & Range)
  | { readonly do: "remove"; readonly file: number; readonly block: number }
  | { readonly do: "invalidate-file" | "invalidate-volume"; readonly file: number }
  | ({ readonly do: "invalidate" } & Target);
export interface PinCall {
  readonly do: "pin" | "unpin";
  readonly what: Selector;
}
export type Call =
  | WriteCall
  | ReadCall
  | GetCall
  | DropCall
  | { readonly do: "resize"; readonly file: number; readonly sizeBytes: number }
  | ({ readonly do: "flush"; readonly dryRun: boolean } & Target)
  | PinCall;
export type Step =
  | Call
  | { readonly do: "wipe" }
  | { readonly do: "reopen" }
  | { readonly do: "together"; readonly calls: Call[] };

const volumes: Target[] = [
  { what: { fs: "test" }, files: [0, 1, 2] },
  { what: { fs: "test", volume: "volume" }, files: [0, 1, 2] },
  { what: { fs: "other" }, files: [3] },
  { what: { fs: "other", volume: "volume" }, files: [3] },
];
const files: Target[] = PLACES.map((what, number) => ({ what, files: [number] }));
const everything: Target = { what: { all: true }, files: [0, 1, 2, 3] };
const pinnable: Selector[] = [placeOf(PINNABLE), { fs: "other", volume: "volume" }];

const file = fc.integer({ min: 0, max: PLACES.length - 1 });
const block = fc.integer({ min: 0, max: BLOCKS - 1 });
/** Near the edges of blocks and pages more often than not. */
const place = fc.oneof(
  fc.integer({ min: 0, max: FILE_BYTES }),
  fc.integer({ min: 0, max: FILE_BYTES / PAGE_BYTES }).map((page) => page * PAGE_BYTES),
  fc
    .tuple(block, fc.constantFrom(0, 0, 1, PAGE_BYTES, SLOT_BYTES - 1, SLOT_BYTES - PAGE_BYTES))
    .map(([number, within]) => number * SLOT_BYTES + within),
);
const length = fc.oneof(
  fc.integer({ min: 1, max: 3 * PAGE_BYTES }),
  fc.integer({ min: 1, max: 3 * SLOT_BYTES }),
  fc.constantFrom(1, PAGE_BYTES - 1, PAGE_BYTES, PAGE_BYTES + 1, SLOT_BYTES, 2 * SLOT_BYTES),
);

function ranged<Name extends string>(...names: Name[]) {
  return fc.record({ do: fc.constantFrom(...names), file, offsetBytes: place, lengthBytes: length });
}
const call: fc.Arbitrary<Call> = fc.oneof(
  { weight: 14, arbitrary: ranged("write") },
  {
    weight: 4,
    arbitrary: file.map((number) => ({
      do: "write" as const,
      file: number,
      offsetBytes: 0,
      lengthBytes: FILE_BYTES,
    })),
  },
  { weight: 10, arbitrary: ranged("read") },
  { weight: 4, arbitrary: ranged("zero") },
  { weight: 3, arbitrary: ranged("forget", "cache-forget") },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("get" as const), file, block }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("remove" as const), file, block }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("resize" as const), file, sizeBytes: place }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constantFrom("invalidate-file" as const, "invalidate-volume" as const),
      file,
    }),
  },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom(...volumes, ...files)
      .map((target) => ({ do: "invalidate" as const, ...target })),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.constantFrom(everything, ...volumes, ...files), fc.boolean())
      .map(([target, dryRun]) => ({ do: "flush" as const, dryRun, ...target })),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("pin" as const), what: fc.constantFrom(...pinnable) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("unpin" as const),
      what: fc.constantFrom(...pinnable, { fs: "other" }, { fs: "test" }, everything.what),
    }),
  },
);
export const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 24, arbitrary: call },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("together" as const),
      calls: fc.array(call, { minLength: 2, maxLength: 6 }),
    }),
  },
  { weight: 1, arbitrary: fc.constantFrom({ do: "wipe" as const }, { do: "reopen" as const }) },
);

export function placeOf(file: number): (typeof PLACES)[number] {
  return PLACES[file] as (typeof PLACES)[number];
}
