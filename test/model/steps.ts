/** Calls and steps of the model test, and how they are drawn. */
import fc from "fast-check";
import { SLOT_BYTES } from "../../index/core/layout.js";

export const FILES = 4;
export const BLOCKS = 6;
export const FILE_BYTES = BLOCKS * SLOT_BYTES;

export interface Place {
  /** 0 and 1 are files of the first volume, 2 and 3 of the second. */
  readonly file: number;
  readonly block: number;
}
export type Call =
  | ({ readonly do: "put"; readonly lengthBytes: number } & Place)
  | ({ readonly do: "get"; readonly offsetBytes: number; readonly lengthBytes: number } & Place)
  | ({ readonly do: "has" | "remove" } & Place)
  | { readonly do: "read"; readonly file: number; readonly offsetBytes: number; readonly lengthBytes: number }
  | { readonly do: "write"; readonly file: number; readonly block: number; readonly blocks: number }
  | { readonly do: "invalidate"; readonly file: number }
  | { readonly do: "invalidate-volume"; readonly volume: number };
export type Step =
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
export const step: fc.Arbitrary<Step> = fc.oneof(
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

/** Whether a call ends what is stored of a block. */
export function ends(one: Call, at: number, number: number): boolean {
  return (
    (one.do === "remove" && one.file === at && one.block === number) ||
    (one.do === "invalidate" && one.file === at) ||
    (one.do === "invalidate-volume" && one.volume === volumeOf(at))
  );
}

export function volumeOf(at: number): number {
  return at < FILES / 2 ? 0 : 1;
}

/** What a call puts, block by block. */
export function placesOf(one: Call): Place[] {
  if (one.do === "put") return [{ file: one.file, block: one.block }];
  if (one.do !== "write") return [];
  const blocks = Math.min(one.blocks, BLOCKS - one.block);
  return Array.from({ length: blocks }, (_, more) => ({ file: one.file, block: one.block + more }));
}
