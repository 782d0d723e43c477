/** Explain: everything known of a block, and why it is or is not a victim. */
import { NO_SLOT, PAGE_BYTES } from "../../index/core/layout.js";
import { nameBuffer } from "../../index/core/names.js";
import { CHECKSUM_NONE, type Entry } from "../../index/entry.js";
import { type Explanation, RANK_LOOKS_MAX } from "../admin-api.js";
import type { Tag } from "../api.js";
import type { ObjectState, VolumeState } from "../object-states.js";
import { SLOT_STATES, STATE } from "../slots/slot-table.js";
import type { AdminParts } from "./admin.js";

const PAGES_A_WORD = 32;

export function explanationOf(parts: AdminParts, tag: Tag): Explanation {
  const { blocks, pins } = parts;
  const { objects, room, ranking } = blocks.life;
  const volume = objects.volumes.find(tag.fs, tag.volume);
  const file = objects.find(tag.fs, tag.volume, tag.inode);
  const holders = {
    ...(file !== undefined && { file: { ...holderOf(file), sizeBytes: file.sizeBytes } }),
    ...(volume !== undefined && { volume: holderOf(volume) }),
  };
  const covered = pins.coversNames(
    { fs: nameBuffer(tag.fs), volume: nameBuffer(tag.volume) },
    nameBuffer(tag.inode),
  );
  const entry = file?.recorded === true ? blocks.entryOf(file.id, tag.block) : undefined;
  if (file === undefined || entry === undefined) {
    const why = "nothing is cached under this tag";
    const inUse = (file?.fills.size ?? 0) > 0;
    return { state: "absent", victim: false, why, inUse, pin: covered ? "pinned" : "none", ...holders };
  }
  const { slot } = entry;
  const state = blocks.current(file, tag.block) === undefined ? "stale" : "cached";
  const hasSlot = slot !== NO_SLOT;
  const beyond = covered && hasSlot && !ranking.isPinned(slot);
  const known = {
    state,
    inUse: hasSlot && (room.isRead(slot) || ranking.isHeld(slot)),
    pin: covered ? (beyond ? "beyond-budget" : "pinned") : "none",
    entry: entryOf(entry),
    ...(hasSlot && slotOf(parts, slot)),
    ...holders,
  } as const;
  return { ...known, ...verdictOf(known, hasSlot) };
}

function holderOf({ id, coherency, stamp }: ObjectState | VolumeState): NonNullable<Explanation["volume"]> {
  return { id, coherency: Buffer.from(coherency), stamp };
}

function entryOf(entry: Entry): NonNullable<Explanation["entry"]> {
  const { version, epoch, sequence, validBytes, presentLow, presentHigh, zeroLow, zeroHigh } = entry;
  return {
    version,
    epoch,
    sequence,
    validBytes,
    present: runsOf(presentLow, presentHigh),
    zero: runsOf(zeroLow, zeroHigh),
    checksum: entry.checksumKind === CHECKSUM_NONE ? "none" : "crc32",
  };
}

/** The runs of bits that are set in a map of 64 pages. */
export function runsOf(low: number, high: number): Array<readonly [first: number, last: number]> {
  const runs: Array<readonly [number, number]> = [];
  for (let page = 0; page < 2 * PAGES_A_WORD; page += 1) {
    const word = page < PAGES_A_WORD ? low : high;
    if (((word >>> (page % PAGES_A_WORD)) & 1) === 0) continue;
    const last = runs.at(-1);
    if (last !== undefined && last[1] === page - 1) runs[runs.length - 1] = [last[0], page];
    else runs.push([page, page]);
  }
  return runs;
}

function slotOf(
  { table, blocks }: AdminParts,
  number: number,
): Pick<Explanation, "slot" | "recency" | "share"> {
  const { ranking } = blocks.life;
  const state = table.stateOf(number);
  const share = ranking.shares.describe(ranking.shareOf(number));
  const rank = rankOf(ranking.cullable(), number);
  return {
    slot: { number, state: SLOT_STATES[state] ?? "unknown", pages: table.pagesOf(number) },
    recency: { used: table.countOf(STATE.used), ...(rank !== undefined && { rank }) },
    ...(share !== undefined && { share }),
  };
}

function rankOf(order: Iterable<number>, wanted: number): number | undefined {
  let rank = 0;
  for (const slot of order) {
    rank += 1;
    if (slot === wanted) return rank;
    if (rank >= RANK_LOOKS_MAX) break;
  }
  return undefined;
}

type Known = Pick<Explanation, "state" | "inUse" | "pin" | "recency" | "share">;

function verdictOf(known: Known, hasSlot: boolean): { victim: boolean; why: string } {
  const { state, inUse, pin, recency, share } = known;
  const not = (why: string) => ({ victim: false, why });
  if (state === "stale") return not("it was invalidated and is about to be dropped; no reader gets it");
  if (!hasSlot) return not(`all of its pages are zero: it takes no slot of ${PAGE_BYTES}-byte pages`);
  if (pin === "pinned") return not("it is pinned");
  if (inUse) return not("it is being read or filled, or its file is open; after that it can be culled again");
  const place =
    recency?.rank === undefined
      ? `at least ${RANK_LOOKS_MAX} blocks go first`
      : recency.rank === 1
        ? "it is the next to go"
        : `${recency.rank - 1} blocks were used less recently and go first`;
  const name = share && `its share, of ${share.fs}${share.volume === undefined ? "" : `/${share.volume}`},`;
  const why =
    share?.state === "over"
      ? `${name ?? "its share"} is above its maximum and gives up blocks first; by recency ${place}`
      : share?.state === "kept"
        ? `${name ?? "its share"} is not above its minimum and gives up blocks only when nothing else is left; by recency ${place}`
        : `it can be culled: ${place}`;
  return { victim: true, why: pin === "none" ? why : `its pin found no room in the share of pins; ${why}` };
}
