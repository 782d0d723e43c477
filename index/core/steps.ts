/**
 * The steps of everything that changes a cache, in one table, by name: after each of them the process may die, and the
 * next owner has to find the cache right. Tests watch them and kill the process there; nothing else happens at a step.
 */

/** Each is reached right after what its name says. */
export const STEPS = [
  "open: owned",
  "open: signed",
  "open: ledger there",
  "open: checkpoint read",
  "open: marked opening",
  "open: index mapped",
  "open: marked unclean",
  "open: checkpoint gone",
  "open: old slots seen",
  "wipe at start: epoch raised",
  "wipe at start: index made",
  "wipe at start: marked unclean",
  "put: reserved",
  "put: written",
  "put: named",
  "overwrite: old name dropped",
  "part: written beside",
  "part: named",
  "reuse: old name committed",
  "reuse: taken",
  "commit: begins",
  "commit: done",
  "commit: flushed",
  "sync: slot synced",
  "remove: name dropped",
  "remove: committed",
  "invalidate: stamped",
  "invalidate: committed",
  "reclaim: name dropped",
  "truncate: cut",
  "truncate: committed",
  "flush: name dropped",
  "cull: name dropped",
  "cull: committed",
  "resize: limits stand",
  "resize: slot cut",
  "resize: slot removed",
  "resize: fits",
  "ledger: change begins",
  "ledger: change durable",
  "wipe: quiet",
  "wipe: index made",
  "wipe: epoch raised",
  "wipe: old index closed",
  "close: quiet",
  "close: slots synced",
  "close: directories synced",
  "close: index synced",
  "close: checkpoint written",
  "close: marked clean",
  "close: index closed",
  "close: ledger closed",
  "close: let go",
] as const;
export type Step = (typeof STEPS)[number];

let watcher: ((step: Step) => void) | undefined;

/** A step was reached. Costs a comparison unless somebody watches. */
export function reached(step: Step): void {
  if (watcher !== undefined) watcher(step);
}

/** For tests: has `watch` called at every step of this process, in the middle of what it belongs to. */
export function watchSteps(watch: (step: Step) => void): void {
  watcher = watch;
}
