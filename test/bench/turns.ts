/**
 * Watches the turns of the event loop, and says of each long one what it was made of: collections, the engine's own steps,
 * and what the kernel did with the thread (thread-time.ts).
 */
import { type PerformanceEntry, PerformanceObserver } from "node:perf_hooks";
import { Evictor } from "../../engine/cull/evictor.js";
import { Outgoing } from "../../engine/cull/outgoing.js";
import { Environment } from "../../index/environment.js";
import { ThreadClock, type ThreadTime, ownMs } from "./thread-time.js";

export interface Turn extends ThreadTime {
  /** When it began, on the clock of performance.now(). */
  readonly atMs: number;
  /** Wall time less what others had the processor for. */
  readonly ownMs: number;
  /** Milliseconds of it by what they went to: `gc young`, `gc old`, `slice`, `commit`, `give back`. */
  readonly parts: Readonly<Record<string, number>>;
}

interface Span {
  readonly what: string;
  readonly atMs: number;
  readonly ms: number;
}

/** Turns shorter than this are counted, no more. */
export const NOTED_MS = 2;
/** Spans shorter than this are left out. */
const SPAN_MS_MIN = 0.2;

/** V8's kinds of collections, by the number that perf_hooks gives them. */
const COLLECTIONS: Readonly<Record<number, string>> = {
  1: "gc young",
  4: "gc old",
  8: "gc step",
  16: "gc weak",
};

const spans: Span[] = [];

/** From here on the synchronous part of each call of a method is a span. */
function watchMethod<K extends string>(
  owner: Record<K, (...args: never[]) => unknown>,
  name: K,
  what: string,
) {
  const original = owner[name];
  owner[name] = function (this: unknown, ...args: never[]): unknown {
    const atMs = performance.now();
    try {
      return original.apply(this, args);
    } finally {
      const ms = performance.now() - atMs;
      if (ms >= SPAN_MS_MIN) spans.push({ what, atMs, ms });
    }
  };
}

/** To be called once in a process, before a cache is opened. */
export function watchEngine(): void {
  watchMethod(Evictor.prototype, "evict", "slice");
  watchMethod(Environment.prototype, "commit", "commit");
  watchMethod(Outgoing.prototype, "giveAll", "give back");
}

/** Runs the body beside a loop that never rests. @returns every turn of NOTED_MS or more, and how many there were. */
export async function watched<T>(
  body: () => Promise<T>,
): Promise<{ result: T; turns: Turn[]; turnCount: number }> {
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      const { startTime, duration, detail } = entry as PerformanceEntry & { detail: { kind: number } };
      spans.push({ what: COLLECTIONS[detail.kind] ?? `gc ${detail.kind}`, atMs: startTime, ms: duration });
    }
  });
  observer.observe({ entryTypes: ["gc"] });
  const clock = new ThreadClock();
  const noted: ThreadTime[] = [];
  const begins: number[] = [];
  let [turnCount, running, before] = [0, true, clock.now()];
  const tick = (): void => {
    const took = clock.since(before);
    if (took.wallMs >= NOTED_MS) {
      noted.push(took);
      begins.push(before.wallMs);
    }
    before = clock.now();
    turnCount += 1;
    if (running) setImmediate(tick);
  };
  setImmediate(tick);
  try {
    const result = await body();
    running = false;
    await new Promise<void>((resolve) => setTimeout(resolve, 50)); // the observer hears later
    const turns = noted.map((took, place) => turnOf(took, begins[place] ?? Number.NaN));
    return { result, turns, turnCount };
  } finally {
    running = false;
    observer.disconnect();
  }
}

function turnOf(took: ThreadTime, atMs: number): Turn {
  const parts: Record<string, number> = {};
  for (const { what, atMs: spanMs, ms } of spans) {
    const within = Math.min(spanMs + ms, atMs + took.wallMs) - Math.max(spanMs, atMs);
    if (within > 0) parts[what] = (parts[what] ?? 0) + within;
  }
  return { ...took, atMs, ownMs: ownMs(took), parts };
}

/** A turn in a line. */
export function turnText({ atMs, ownMs: own, wallMs, runMs, waitMs, parts }: Turn): string {
  const asleep = Math.max(0, wallMs - runMs - waitMs);
  const made = Object.entries(parts).map(([what, ms]) => `${what} ${ms.toFixed(1)}`);
  const kernel = `ran ${runMs.toFixed(1)}, asleep ${asleep.toFixed(1)}, others ran ${waitMs.toFixed(1)}`;
  return `${own.toFixed(1)} ms at ${(atMs / 1000).toFixed(1)} s: ${made.join(", ") || "nothing of ours"}; ${kernel}`;
}
