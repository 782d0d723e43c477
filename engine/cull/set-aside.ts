/** Slots on their way out of use, and back. */
import { STATE } from "../slots/slot-table.js";
import type { RoomParts } from "./room.js";

type Aside = typeof STATE.quarantined | typeof STATE.retired;

/** Takes a slot that is filling, leaving, free or set aside out of use: after trouble, or because its file is gone. */
export function setAside(
  { table, free, files, writeBack }: Pick<RoomParts, "table" | "free" | "files" | "writeBack">,
  slot: number,
  state: Aside,
): void {
  const before = table.stateOf(slot);
  if (before === STATE.free) free.remove(slot, table.pagesOf(slot));
  table.move(slot, before, state);
  files.forget(slot);
  writeBack.forget(slot); // no entry will name these bytes, so a clean stop can do without them
  // Of one that leaves, pages are counted until it has left.
  if (state === STATE.retired && before !== STATE.leaving) table.setPages(slot, 0);
}
