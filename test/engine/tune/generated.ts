/** Small traces of known kinds, the same at every run. */
import type { BlockTrace } from "../../../engine/tune/block-trace.js";
import { TouchList } from "../../../engine/tune/block-trace.js";
import { randomOf } from "../../support/temp-cache.js";

function traceOf(name: string, touches: Iterable<number>): BlockTrace {
  const list = new TouchList();
  for (const block of touches) list.touch("file", block);
  return list.take(name);
}

/** A few blocks are used much, most seldom. */
export function popular(blocks: number, touches: number, seed = 1): BlockTrace {
  const random = randomOf(seed);
  return traceOf(
    "popular",
    Array.from({ length: touches }, () => Math.floor(blocks * random() ** 4)),
  );
}

/** All blocks in turn, again and again: the worst there is for LRU. */
export function loop(blocks: number, touches: number): BlockTrace {
  return traceOf(
    "loop",
    Array.from({ length: touches }, (_, at) => at % blocks),
  );
}

/** Popular blocks, and runs of blocks that are used once. */
export function scans(blocks: number, touches: number): BlockTrace {
  const random = randomOf(2);
  const block = (_: unknown, at: number): number =>
    at % 1000 < 400 ? blocks + at : Math.floor(blocks * random() ** 3);
  return traceOf("scans", Array.from({ length: touches }, block));
}

/** What is popular moves on: LRU knows best. */
export function drift(blocks: number, touches: number): BlockTrace {
  const random = randomOf(3);
  const block = (_: unknown, at: number): number => Math.floor(at / 20) + Math.floor(blocks * random() ** 3);
  return traceOf("drift", Array.from({ length: touches }, block));
}
