/** The origin as a network would give it: every request waits first. Really waited for, on a sample. */
import { open } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { FILES_IN_FLIGHT_MAX, forEachConcurrent } from "../../engine/origin/concurrent.js";
import { SLOT_BYTES } from "../../index/core/layout.js";
import type { Segment } from "./pass.js";

/** What each request waits, at least; timers add up to a millisecond. */
export const REQUEST_DELAY_MS = 5;
/** With all of them in flight that may be, this takes about half a second. */
export const SAMPLE_BLOCKS_MAX = 3000;

/** Takes every n-th piece of a tree, so that the sample has the sizes that the tree has. */
export class Sample {
  readonly segments: Segment[] = [];
  readonly #blocksPerTaken: number;
  #seen = 0;
  #taken = 0;

  constructor(blocksInTree: number) {
    this.#blocksPerTaken = Math.max(1, blocksInTree / SAMPLE_BLOCKS_MAX);
  }

  offer(segment: Segment): void {
    const blocks = Math.ceil(segment.lengthBytes / SLOT_BYTES);
    this.#seen += blocks;
    if (blocks === 0 || this.#taken * this.#blocksPerTaken > this.#seen) return;
    this.#taken += blocks;
    this.segments.push(segment);
  }
}

export interface DelayedResult {
  readonly requests: number;
  readonly bytes: number;
  readonly ms: number;
}

/** Reads a sample with one delayed request a block; opening a file costs no request, which favours the origin. */
export async function readDelayed(segments: readonly Segment[]): Promise<DelayedResult> {
  let requests = 0;
  let bytes = 0;
  const startedAt = performance.now();
  await forEachConcurrent(segments, FILES_IN_FLIGHT_MAX, async ({ path, offsetBytes, lengthBytes }) => {
    const handle = await open(path);
    try {
      const buffer = Buffer.allocUnsafe(Math.min(lengthBytes, SLOT_BYTES));
      for (let at = 0; at < lengthBytes; at += SLOT_BYTES) {
        await sleep(REQUEST_DELAY_MS);
        const wanted = Math.min(SLOT_BYTES, lengthBytes - at);
        bytes += (await handle.read(buffer, 0, wanted, offsetBytes + at)).bytesRead;
        requests += 1;
      }
    } finally {
      await handle.close();
    }
  });
  return { requests, bytes, ms: performance.now() - startedAt };
}
