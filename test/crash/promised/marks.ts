/** What a load writes down before it may die: what it is about to do, and what it was told is done. */

export const WORKERS = 4;
export const FILES = 4;
export const BLOCKS = 8;

/** Files 0 to FILES - 1 of a worker are its own, in a volume of its own, so its calls on a block come one after another. */
export interface Place {
  readonly worker: number;
  readonly file: number;
  readonly block: number;
}

export type Operation =
  | {
      readonly what: "put";
      readonly file: number;
      readonly block: number;
      readonly version: number;
      readonly lengthBytes: number;
    }
  /** Makes blocks `from` to BLOCKS - 1 of a file, or of all of them, stale. What is kept of the first is only ever less. */
  | {
      readonly what: "drop";
      readonly how: string;
      readonly file?: number;
      readonly from: number;
      readonly end: number;
      readonly keptBytes: number;
    };

export type Mark =
  /** `openCache` is about to be called. */
  | { readonly kind: "opening" }
  /** It has resolved. */
  | {
      readonly kind: "opened";
      readonly start: string;
      readonly action: string;
      readonly epoch: number;
      readonly pins: readonly string[];
    }
  /** From here on anything may be culled. */
  | { readonly kind: "crowding" }
  | { readonly kind: "wiping" }
  | { readonly kind: "wiped"; readonly epoch: number }
  | { readonly kind: "closing" }
  | { readonly kind: "closed" }
  | { readonly kind: "begin"; readonly worker: number; readonly operation: Operation }
  | { readonly kind: "done"; readonly worker: number; readonly worked: boolean }
  | { readonly kind: "pinning"; readonly name: string }
  | { readonly kind: "pinned"; readonly name: string }
  | { readonly kind: "unpinning"; readonly name: string }
  | { readonly kind: "unpinned"; readonly name: string };

export function tagOf({ worker, file, block }: Place) {
  return { fs: "cut", volume: `worker ${worker}`, inode: `file ${file}`, block };
}
