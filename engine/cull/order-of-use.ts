/** The orders of several policies as one. */
import type { CullPolicy } from "./policy.js";

/** Slots of all of them, each time the one among their next that was used before the others. */
export function* inOrderOfUse(
  policies: readonly CullPolicy[],
  usedBefore: (slot: number, other: number) => boolean,
): Generator<number> {
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
