/** Reads blocks: on the spot where the bytes are likely in memory, on the thread pool where not; checked always. */
import { type CacheError, errnoOf } from "../index/core/errors.js";
import { GROUP_BYTES, NO_SLOT, PAGE_BYTES, SLOT_BYTES, pagesOf } from "../index/core/layout.js";
import type { Entry } from "../index/entry.js";
import type { BypassReason, GetResult } from "./api.js";
import { SCARCE_ERRNOS } from "./block-writer.js";
import type { Blocks } from "./blocks.js";
import type { BlockParts } from "./block-parts.js";
import { CheckedPages, type KnownBlock, type PageBytes, presentOf, zeroOf } from "./checked-pages.js";
import { common, union, without } from "./pages.js";
import { incompletePages, isAvailable, isWhole, pagesOfSpan, spansOf } from "./presence.js";
import type { ObjectState } from "./object-states.js";
import { type ReadPlan, readPlan } from "./read-plan.js";
import { PageSums } from "./slots/page-sums.js";
import { STATE } from "./slots/slot-table.js";
import { type Span, placeFor } from "./span.js";

const MISS = { kind: "miss" } as const;

/** What a read of a part of a block found: `gaps` within the span are not here, and their bytes are zero. */
export interface PartsRead {
  readonly gaps: readonly Span[];
  readonly bypass?: BypassReason;
}

const ALL_READ: PartsRead = { gaps: [] };

/** One read under way. */
interface Reading extends KnownBlock {
  readonly plan: ReadPlan;
  /** As long as what is wanted. */
  readonly target: Buffer;
}

export class BlockReader {
  readonly #parts: BlockParts;
  readonly #blocks: Blocks;
  readonly #checked: CheckedPages;
  /** Whole groups that are read for a part of them, on the spot. */
  readonly #scratch = Buffer.allocUnsafeSlow(SLOT_BYTES);
  readonly #scratchGroup = this.#scratch.subarray(0, GROUP_BYTES);
  readonly #scratchPage = this.#scratch.subarray(0, PAGE_BYTES);
  readonly #pageSums = new PageSums();

  constructor(parts: BlockParts, blocks: Blocks) {
    this.#parts = parts;
    this.#blocks = blocks;
    this.#checked = new CheckedPages(parts, blocks);
  }

  /** As Blocks.read. */
  read(
    object: ObjectState,
    block: number,
    span: Span,
    into: Buffer | undefined,
  ): GetResult | Promise<GetResult> {
    const entry = this.#usable(object, block);
    if (entry === undefined) return this.#miss(object);
    if (isWhole(entry)) return this.#readWhole({ object, block, entry }, span, into);
    const endBytes = Math.min(span.offsetBytes + span.lengthBytes, entry.validBytes);
    const lengthBytes = Math.max(0, endBytes - span.offsetBytes);
    const cut = { offsetBytes: span.offsetBytes, lengthBytes };
    if (isAvailable(entry, cut, entry.validBytes)) {
      const target = placeFor(into, lengthBytes);
      return this.#readMixed({ object, block, entry }, cut, entry.validBytes, target).then((answer) => {
        if (answer.bypass !== undefined) return { kind: "bypass", reason: answer.bypass };
        return answer.gaps.length === 0 ? { kind: "hit", bytes: target } : MISS;
      });
    }
    return this.#miss(object);
  }

  /** As Blocks.readParts. */
  async readParts(
    object: ObjectState,
    block: number,
    span: Span,
    endBytes: number,
    target: Buffer,
  ): Promise<PartsRead> {
    const entry = this.#usable(object, block);
    if (entry === undefined) {
      this.#miss(object);
      return { gaps: [span] };
    }
    if (isWhole(entry) && isAvailable(entry, span, endBytes)) {
      const answer = await this.#readWhole({ object, block, entry }, span, target);
      if (answer.kind === "hit") return ALL_READ;
      return answer.kind === "miss" ? { gaps: [span] } : { gaps: [span], bypass: answer.reason };
    }
    return this.#readMixed({ object, block, entry }, span, endBytes, target);
  }

  /** Present pages from the slot, zero pages from nothing; the rest are gaps. */
  async #readMixed(known: KnownBlock, span: Span, endBytes: number, target: Buffer): Promise<PartsRead> {
    const { entry } = known;
    const usable = without(pagesOfSpan(span), incompletePages(entry, endBytes));
    const present = common(usable, presentOf(entry));
    const gaps = spansOf(without(pagesOfSpan(span), union(present, common(usable, zeroOf(entry)))), span);
    if (entry.slot !== NO_SLOT) this.#blocks.life.ranking.touch(entry.slot);
    let read: PageBytes | undefined;
    try {
      read = await this.#checked.read(known, present);
    } catch (error) {
      return { gaps: [span], bypass: this.#trouble(known, error) };
    }
    if (read === undefined) {
      this.#dropCorrupt(known);
      this.#miss(known.object);
      return { gaps: [span] };
    }
    target.fill(0, 0, span.lengthBytes);
    for (const part of spansOf(present, span)) {
      const from = part.offsetBytes - read.atBytes;
      read.bytes.copy(target, part.offsetBytes - span.offsetBytes, from, from + part.lengthBytes);
    }
    const { tally } = known.object.volume;
    if (gaps.length === 0) this.#parts.counters.hit(tally, span.lengthBytes);
    else this.#parts.counters.missed(tally);
    return { gaps };
  }

  #miss(object: ObjectState): GetResult {
    this.#parts.counters.missed(object.volume.tally);
    return MISS;
  }

  /** The entry of a block, if it says anything and what it names is its own. */
  #usable(object: ObjectState, block: number): Entry | undefined {
    const entry = this.#blocks.current(object, block);
    if (entry === undefined) return undefined;
    return entry.slot === NO_SLOT || this.#ownsSlot(entry, object, block) ? entry : undefined;
  }

  #readWhole(
    { object, block, entry }: KnownBlock,
    span: Span,
    into: Buffer | undefined,
  ): GetResult | Promise<GetResult> {
    const { hot } = this.#parts;
    const endBytes = Math.min(span.offsetBytes + span.lengthBytes, entry.validBytes);
    const lengthBytes = Math.max(0, endBytes - span.offsetBytes);
    this.#blocks.life.ranking.touch(entry.slot);
    const target = placeFor(into, lengthBytes);
    if (lengthBytes === 0) return this.#hit(object, target);
    const likely = hot.likely(entry.slot);
    const wanted = { startBytes: span.offsetBytes, endBytes };
    if (likely) {
      // Cold reads go by groups: what is known of a group's pages may be forgotten before they are here.
      const plan = readPlan(object.id, block, entry, wanted, this.#pageSums);
      hot.noteUse(entry.slot, pagesOf(plan.lengthBytes));
      try {
        if (this.#readOnTheSpot(plan, target)) return this.#hit(object, target);
      } catch (error) {
        return this.#failed({ object, block, entry }, error);
      }
    }
    // Cold, or the first reading failed its check: then once more, from the drive if it comes to that.
    const plan = readPlan(object.id, block, entry, wanted);
    if (!likely) hot.noteUse(entry.slot, pagesOf(plan.lengthBytes));
    return this.#readAside({ object, block, entry, plan, target });
  }

  /** From the reading to the copying nothing else may run: the scratch buffer is shared. */
  #readOnTheSpot(plan: ReadPlan, target: Buffer): boolean {
    const { files, hot, now } = this.#parts;
    const bytes = plan.exact ? target : this.#scratchOf(plan.lengthBytes);
    const beganMs = now();
    files.readSync(plan.slot, bytes, plan.startBytes);
    hot.took(now() - beganMs);
    return this.#accept(plan, bytes, target);
  }

  #scratchOf(lengthBytes: number): Buffer {
    if (lengthBytes === PAGE_BYTES) return this.#scratchPage;
    return lengthBytes === GROUP_BYTES ? this.#scratchGroup : this.#scratch.subarray(0, lengthBytes);
  }

  async #readAside(reading: Reading): Promise<GetResult> {
    const { object, plan, target } = reading;
    const { counters } = this.#parts;
    const bytes = plan.exact ? target : Buffer.allocUnsafe(plan.lengthBytes);
    const { room } = this.#blocks.life;
    room.startReading(plan.slot);
    this.#blocks.began();
    try {
      await this.#parts.files.read(plan.slot, bytes, plan.startBytes);
      counters.readsAside += 1;
      if (this.#accept(plan, bytes, target)) return this.#hit(object, target);
    } catch (error) {
      return this.#failed(reading, error);
    } finally {
      room.endReading(plan.slot);
      this.#blocks.ended();
    }
    this.#dropCorrupt(reading);
    counters.missed(object.volume.tally);
    return MISS;
  }

  /** Checks what was read, and copies the part that is wanted. */
  #accept(plan: ReadPlan, bytes: Buffer, target: Buffer): boolean {
    if (!this.#isRight(plan, bytes)) return false;
    const { unchecked } = this.#parts.table;
    if (unchecked.slots > 0) {
      const endGroup = plan.firstGroup + Math.ceil(plan.lengthBytes / GROUP_BYTES);
      unchecked.checked(plan.slot, plan.firstGroup, endGroup);
    }
    if (!plan.exact) bytes.copy(target, 0, plan.skipBytes, plan.skipBytes + target.length);
    return true;
  }

  #isRight({ entry, tenancy, firstGroup, firstPage, pagesAlone, exact }: ReadPlan, bytes: Buffer): boolean {
    const { checksummer } = this.#parts;
    if (pagesAlone) {
      return this.#pageSums.matches(entry, firstPage, firstPage + pagesOf(bytes.length), bytes);
    }
    if (exact || bytes.length > GROUP_BYTES) {
      return checksummer.firstBad(tenancy, entry.sums, firstGroup, bytes) === undefined;
    }
    // A part of one group is wanted: others may be next.
    const sum = entry.sums[firstGroup] as number;
    return this.#pageSums.learn(entry, firstGroup, bytes, { seed: checksummer.seed(tenancy), sum });
  }

  #hit(object: ObjectState, bytes: Buffer): GetResult {
    this.#parts.counters.hit(object.volume.tally, bytes.length);
    return { kind: "hit", bytes };
  }

  /** What an entry points to is checked against the slot's own record: LMDB does not check its pages. */
  #ownsSlot(entry: Entry, object: ObjectState, block: number): boolean {
    const { table, counters, log } = this.#parts;
    if (this.#blocks.owns({ object, block, entry })) return true;
    if (table.surveying) return false; // whose the slot is will show
    counters.corrupt += 1;
    log("warn", "an entry names a slot that is not its own and is dropped", { slot: entry.slot });
    this.#blocks.life.index.removeEntry(object.id, block);
    return false;
  }

  #dropCorrupt({ object, block, entry }: KnownBlock): void {
    if (!this.#blocks.stands(object, block, entry)) return; // replaced, removed or wiped meanwhile
    this.#parts.counters.corrupt += 1;
    this.#parts.log("warn", "a block failed its checksum and is dropped", { slot: entry.slot });
    this.#blocks.drop(object.id, block, entry);
  }

  #failed(known: KnownBlock, error: unknown): GetResult {
    const { object, block, entry } = known;
    // A slot that came back short after a cut: somebody else found it out while this read was under way.
    const isShort = errnoOf((error as CacheError).cause) === undefined;
    if (isShort && !this.#blocks.stands(object, block, entry)) return this.#miss(object);
    return { kind: "bypass", reason: this.#trouble(known, error) };
  }

  #trouble({ object, block, entry }: KnownBlock, error: unknown): BypassReason {
    const { counters, health, log } = this.#parts;
    health.noteError(entry.slot, error);
    const errno = errnoOf((error as CacheError).cause);
    counters.readErrors += 1;
    log("warn", "a slot could not be read", { error: String(error) });
    if (this.#blocks.stands(object, block, entry) && !SCARCE_ERRNOS.has(errno ?? "")) {
      this.#blocks.drop(object.id, block, entry);
      this.#blocks.life.room.setAside(entry.slot, errno === "ENOENT" ? STATE.retired : STATE.quarantined);
    }
    return counters.bypass("io-error").reason;
  }
}
