/**
 * Changes parts of blocks. Published bytes never change: where a present page would, the block moves to a fresh slot and
 * a new generation; pages that no entry has shown are written beside it into the slot it has.
 */
import { type CacheError, errnoOf } from "../index/core/errors.js";
import { GROUP_BYTES, NO_SLOT, SLOT_GROUPS, pagesOf } from "../index/core/layout.js";
import { CHECKSUM_CRC32, type Entry } from "../index/entry.js";
import type { Bypass } from "./api.js";
import { type BlockWriter, SCARCE_ERRNOS, verdictOf } from "./block-writer.js";
import type { Blocks } from "./blocks.js";
import type { BlockParts } from "./block-parts.js";
import { type ChangePlan, planCut, planForget, planWrite } from "./change-plan.js";
import { CheckedPages, groupPages, presentOf } from "./checked-pages.js";
import type { ObjectState } from "./object-states.js";
import { type Pages, common, endOf, firstOf, isNone, runsOf, startOf, union, without } from "./pages.js";
import { STATE } from "./slots/slot-table.js";
import type { Span } from "./span.js";
import { reached } from "../index/core/steps.js";

/** What of the wanted span is stored, if anything. */
export type ChangeAnswer = { readonly kind: "done"; readonly stored?: Span } | Bypass;

const NOTHING: ChangeAnswer = { kind: "done" };
const VERSIONS = 0x1_0000;
/** A block that is culled again and again while a part of it is written: there is no room for it. */
const TRIES_MAX = 4;

/** Bytes that go over what is there. */
interface Overlay {
  readonly span: Span;
  /** Zeros unless given. */
  readonly bytes?: Buffer;
}

interface Change {
  readonly object: ObjectState;
  readonly block: number;
  readonly sequence: number;
  readonly old: Entry | undefined;
  readonly plan: ChangePlan;
  readonly overlay?: Overlay;
}

export class BlockChanger {
  readonly #parts: BlockParts;
  readonly #blocks: Blocks;
  readonly #writer: BlockWriter;
  readonly #checked: CheckedPages;

  constructor(parts: BlockParts, blocks: Blocks, writer: BlockWriter) {
    this.#parts = parts;
    this.#blocks = blocks;
    this.#writer = writer;
    this.#checked = new CheckedPages(parts, blocks);
  }

  /** As Blocks.write. */
  write(object: ObjectState, block: number, overlay: Overlay, endBytes: number): Promise<ChangeAnswer> {
    return this.#writer.filling(object, block, async (sequence, earlier) => {
      if (earlier.length > 0) await Promise.all(earlier);
      // Again if what was there turns out to be damaged, or was culled meanwhile: then on what is left.
      for (let tries = 1; ; tries += 1) {
        const old = this.#old(object, block);
        const zeros = overlay.bytes === undefined;
        const plan = planWrite(old, overlay.span, { endBytes, zeros });
        if (plan === undefined) return NOTHING;
        const answer = await this.#apply({ object, block, sequence, old, plan, overlay });
        if (answer === "changed") {
          if (tries < TRIES_MAX) continue;
          return this.#parts.counters.bypass("no-space");
        }
        return answer.kind === "done" && plan.stored !== undefined
          ? { ...answer, stored: plan.stored }
          : answer;
      }
    });
  }

  /** Nothing past `endBytes` is in the block from the moment this resolves; what can't be kept goes. */
  cut(object: ObjectState, block: number, endBytes: number): Promise<void> {
    return this.#lessen(object, block, (old) => planCut(old, endBytes));
  }

  /** Pages that the span touches are not in the block from the moment this resolves; what can't be kept goes. */
  forget(object: ObjectState, block: number, span: Span): Promise<void> {
    return this.#lessen(object, block, (old) => planForget(old, span));
  }

  async #lessen(
    object: ObjectState,
    block: number,
    planOf: (old: Entry) => ChangePlan | undefined,
  ): Promise<void> {
    if (object.fills.size > 0) object.raiseFloor(block, this.#parts.takeSequence(), true);
    const old = this.#old(object, block);
    const plan = old === undefined ? undefined : planOf(old);
    if (old === undefined || plan === undefined) return;
    const answer = await this.#writer.filling(object, block, (sequence) =>
      this.#apply({ object, block, sequence, old, plan }),
    );
    if (answer === "changed" || answer.kind === "done") return;
    if (this.#blocks.stands(object, block, old)) this.#blocks.drop(object.id, block, old);
    await this.#blocks.life.index.settled();
  }

  #old(object: ObjectState, block: number): Entry | undefined {
    const entry = this.#blocks.current(object, block);
    if (entry === undefined || entry.slot === NO_SLOT) return entry;
    return this.#blocks.owns({ object, block, entry }) ? entry : undefined;
  }

  async #apply(change: Change): Promise<ChangeAnswer | "changed"> {
    const { old, plan } = change;
    if (isNone(plan.present)) return this.#applyWithoutSlot(change);
    const beside = old !== undefined && old.slot !== NO_SLOT && !plan.fresh;
    if (beside && this.#blocks.life.room.grow(old.slot, endOf(plan.present))) {
      return this.#applyBeside(change, old);
    }
    return this.#applyFresh(change);
  }

  /** All pages are zero, or none is here. */
  async #applyWithoutSlot(change: Change): Promise<ChangeAnswer> {
    const { object, block, old, plan } = change;
    const verdict = this.#verdict(change);
    if (verdict !== undefined) return verdict;
    if (isNone(plan.zero)) {
      if (old !== undefined && this.#blocks.stands(object, block, old))
        this.#blocks.drop(object.id, block, old);
      await this.#blocks.life.index.settled();
      return NOTHING;
    }
    await this.#writer.publish(
      object,
      block,
      this.#entryOf(change, NO_SLOT, new Uint32Array(SLOT_GROUPS)),
      change.overlay === undefined,
    );
    return NOTHING;
  }

  /** Copies what is kept, and what is new over it, to a fresh slot. */
  async #applyFresh(change: Change): Promise<ChangeAnswer | "changed"> {
    const { object, block, old, plan, sequence } = change;
    const bytes = Buffer.alloc(Math.min(startOf(endOf(plan.present)), plan.validBytes));
    if (!(await this.#fill(change, plan.kept, bytes, 0))) return "changed";
    const slot = await this.#writer.place(object, bytes);
    if (typeof slot === "string") return this.#parts.counters.bypass(slot);
    const gone = old !== undefined && !this.#writer.orGiveBack(slot, () => this.#isSame(object, block, old));
    const verdict = this.#verdict(change) ?? (gone ? "changed" : undefined);
    if (verdict !== undefined) {
      this.#blocks.life.room.giveBack(slot);
      return verdict;
    }
    const { epoch } = this.#blocks.life;
    const { checksummer } = this.#parts;
    const seed = checksummer.seed({ objectId: object.id, block, epoch, sequence });
    const sums = Uint32Array.from({ length: SLOT_GROUPS }, (_, group) =>
      checksummer.groupSum(seed, group, plan.present, plan.validBytes, bytes, 0),
    );
    await this.#writer.publish(
      object,
      block,
      this.#entryOf(change, slot, sums),
      change.overlay === undefined,
    );
    return NOTHING;
  }

  /** Writes new pages into the slot that the block has; its other pages stay as they are. */
  async #applyBeside(change: Change, old: Entry): Promise<ChangeAnswer | "changed"> {
    const { object, block, plan } = change;
    const added = without(plan.present, presentOf(old));
    const sums = old.sums.slice();
    if (!isNone(added)) {
      const first = Math.floor(startOf(firstOf(added)) / GROUP_BYTES);
      const end = Math.ceil(startOf(endOf(added)) / GROUP_BYTES);
      const atBytes = first * GROUP_BYTES;
      const bytes = Buffer.alloc(Math.min(end * GROUP_BYTES, plan.validBytes) - atBytes);
      let groups: Pages = groupPages(first);
      for (let group = first; group < end; group += 1) groups = union(groups, groupPages(group));
      if (!(await this.#fill(change, common(presentOf(old), groups), bytes, atBytes))) return "changed";
      const trouble = await this.#writeBeside(change, old, added, { bytes, atBytes });
      if (trouble !== undefined) return trouble;
      reached("part: written beside");
      const { checksummer } = this.#parts;
      const seed = checksummer.seed({ objectId: object.id, block, epoch: old.epoch, sequence: old.sequence });
      for (let group = first; group < end; group += 1) {
        sums[group] = checksummer.groupSum(seed, group, plan.present, plan.validBytes, bytes, atBytes);
      }
    }
    const verdict = this.#verdict(change);
    if (verdict !== undefined) return verdict;
    if (!this.#isSame(object, block, old)) return "changed";
    this.#blocks.life.index.putEntry(object.id, block, {
      ...this.#entryOf(change, old.slot, sums),
      version: (old.version + 1) % VERSIONS,
      epoch: old.epoch,
      sequence: old.sequence,
    });
    reached("part: named");
    this.#blocks.life.room.extend(old.slot, object, block, plan.validBytes);
    this.#parts.counters.stored(object.volume.tally, plan.stored?.lengthBytes ?? 0);
    return NOTHING;
  }

  /** What is kept of the block, and the overlay on top. @returns false when what is there is damaged; then it is dropped. */
  async #fill(change: Change, kept: Pages, bytes: Buffer, atBytes: number): Promise<boolean> {
    const { object, block, old, overlay } = change;
    if (old !== undefined && !isNone(kept)) {
      const read = await this.#checked.read({ object, block, entry: old }, kept);
      if (read === undefined) {
        this.#parts.counters.corrupt += 1;
        this.#parts.log("warn", "a block failed its checksum and is dropped", { slot: old.slot });
        if (this.#blocks.stands(object, block, old)) this.#blocks.drop(object.id, block, old);
        return false;
      }
      for (const { first, end } of runsOf(kept)) {
        const from = startOf(first) - read.atBytes;
        read.bytes.copy(
          bytes,
          startOf(first) - atBytes,
          from,
          Math.min(startOf(end) - read.atBytes, read.bytes.length),
        );
      }
    }
    const stored = change.plan.stored;
    if (overlay === undefined || stored === undefined) return true;
    const target = stored.offsetBytes - atBytes;
    const source = stored.offsetBytes - overlay.span.offsetBytes;
    // Pages that become zero may lie past the last present one.
    const end = Math.min(bytes.length, target + stored.lengthBytes);
    if (overlay.bytes === undefined) bytes.fill(0, Math.min(Math.max(0, target), end), Math.max(0, end));
    else overlay.bytes.copy(bytes, target, source, source + stored.lengthBytes);
    return true;
  }

  /** @returns what to answer instead when the drive does not take it. */
  async #writeBeside(
    { object, block }: Change,
    old: Entry,
    added: Pages,
    { bytes, atBytes }: { bytes: Buffer; atBytes: number },
  ): Promise<ChangeAnswer | undefined> {
    const { files, writeBack, hot, drive, health, counters, log, budget } = this.#parts;
    const { room } = this.#blocks.life;
    room.startReading(old.slot); // nobody else gets the slot meanwhile
    try {
      for (const { first, end } of runsOf(added)) {
        const part = bytes.subarray(startOf(first) - atBytes, startOf(end) - atBytes);
        await files.write(old.slot, part, false, startOf(first));
        counters.slotWrites += 1;
        budget.wrote(part.length);
      }
      writeBack.note(old.slot, endOf(added));
      hot.noteUse(old.slot, pagesOf(bytes.length));
      return undefined;
    } catch (error) {
      const errno = errnoOf((error as CacheError).cause) ?? "";
      health.noteError(old.slot, error);
      counters.writeErrors += 1;
      log("warn", "a slot could not be written", { error: String(error) });
      if (errno === "ENOSPC" || errno === "EDQUOT") {
        drive.noteFull();
        return counters.bypass("drive-full");
      }
      if (!SCARCE_ERRNOS.has(errno) && this.#blocks.stands(object, block, old)) {
        this.#blocks.drop(object.id, block, old);
        room.setAside(old.slot, errno === "ENOENT" ? STATE.retired : STATE.quarantined);
      }
      return counters.bypass("io-error");
    } finally {
      room.endReading(old.slot);
    }
  }

  #entryOf({ sequence, plan }: Change, slot: number, sums: Uint32Array): Entry {
    return {
      version: 1,
      slot,
      epoch: this.#blocks.life.epoch,
      sequence,
      validBytes: plan.validBytes,
      presentLow: plan.present.low,
      presentHigh: plan.present.high,
      zeroLow: plan.zero.low,
      zeroHigh: plan.zero.high,
      checksumKind: CHECKSUM_CRC32,
      sums,
    };
  }

  /** Whether the block is exactly as it was. */
  #isSame(object: ObjectState, block: number, old: Entry): boolean {
    return (
      this.#blocks.stands(object, block, old) && this.#blocks.current(object, block)?.version === old.version
    );
  }

  /** What to answer instead when the change comes too late. */
  #verdict({ object, block, sequence }: Change): ChangeAnswer | undefined {
    const verdict = verdictOf(object, block, sequence);
    if (verdict === "current") return undefined;
    return verdict === "stale" ? this.#parts.counters.bypass("stale") : NOTHING;
  }
}
