/** The orders of several policies as one. */
import type { CullPolicy, MayLeave } from "./policy.js";

type UsedBefore = (slot: number, other: number) => boolean;

/** Slots of all of them, each time the one among their next that was used before the others. */
export function* inOrderOfUse(policies: readonly CullPolicy[], usedBefore: UsedBefore): Generator<number> {
  const heads = policies.map((policy) => policy.order()[Symbol.iterator]());
  const next = heads.map((head) => head.next());
  for (;;) {
    let first = -1;
    for (const [place, head] of next.entries()) {
      if (head.done === true) continue;
      if (first === -1 || usedBefore(head.value, (next[first] as { value: number }).value)) first = place;
    }
    if (first === -1) return;
    yield (next[first] as { value: number }).value;
    next[first] = (heads[first] as Iterator<number>).next();
  }
}

/** Of the candidates of all that are `wanted` by their number, the one that was used before the others. */
export function oldestVictim(
  policies: readonly CullPolicy[],
  usedBefore: UsedBefore,
  mayLeave: MayLeave,
  wanted: (number: number) => boolean,
): number | undefined {
  let oldest: number | undefined;
  for (const [number, policy] of policies.entries()) {
    if (!wanted(number)) continue;
    const slot = policy.victim(mayLeave);
    if (slot !== undefined && (oldest === undefined || usedBefore(slot, oldest))) oldest = slot;
  }
  return oldest;
}
