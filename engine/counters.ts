/** What happened in this session, for status. */
import type { Bypass, BypassReason } from "./api.js";

export class Counters {
  hits = 0;
  misses = 0;
  puts = 0;
  culled = 0;
  corrupt = 0;
  readonly #bypassed = new Map<BypassReason, number>();

  get bypassed(): Partial<Record<BypassReason, number>> {
    return Object.fromEntries(this.#bypassed);
  }

  /** Counts a bypass and makes the answer. */
  bypass(reason: BypassReason): Bypass {
    this.#bypassed.set(reason, (this.#bypassed.get(reason) ?? 0) + 1);
    return { kind: "bypass", reason };
  }
}
