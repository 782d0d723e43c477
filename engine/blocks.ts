/**
 * Blocks of known files: what is there, and how it goes. Reading and storing have files of their own. Here and there
 * the order of things is kept that makes the cache right: an entry is queued only after its slot is written, a slot is
 * used again only after the removal of its last entry is committed, and every byte that is returned was checked.
 */
import { isCacheError } from "../index/core/errors.js";
import type { Entry } from "../index/entry.js";
import type { Bypass, GetResult, PutResult } from "./api.js";
import { PAGE_BYTES } from "../index/core/layout.js";
import { BlockChanger, type ChangeAnswer } from "./block-changer.js";
import { BlockReader, type PartsRead } from "./block-reader.js";
import { BlockWriter } from "./block-writer.js";
import type { Claim } from "./cull/write-budget.js";
import type { ObjectState } from "./object-states.js";
import { isAvailable } from "./presence.js";
import type { Span } from "./span.js";
import { reached } from "../index/core/steps.js";
import type { TraceOutcome } from "./trace/format.js";
import type { TracedFile } from "./trace/recorder.js";
import type { BlockParts, Life } from "./block-parts.js";

export class Blocks {
  readonly #parts: BlockParts;
  readonly #reader: BlockReader;
  readonly #writer: BlockWriter;
  readonly #changer: BlockChanger;
  #life: Life;
  /** Fills and cold reads under way. */
  #active = 0;
  readonly #idle: Array<() => void> = [];

  constructor(parts: BlockParts, life: Life) {
    this.#parts = parts;
    this.#life = life;
    this.#reader = new BlockReader(parts, this);
    this.#writer = new BlockWriter(parts, this);
    this.#changer = new BlockChanger(parts, this, this.#writer);
  }

  get life(): Life {
    return this.#life;
  }

  /** Goes on with an empty index; nothing may be under way. */
  startLife(life: Life): void {
    this.#life = life;
  }

  /** Something starts that a stop has to wait for. */
  began(): void {
    this.#active += 1;
  }

  ended(): void {
    this.#active -= 1;
    if (this.#active === 0) for (const resume of this.#idle.splice(0)) resume();
  }

  /** Resolves when nothing is being stored or read. */
  async idle(): Promise<void> {
    while (this.#active > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  /** Reads the part of `span` that the block has; `into` is used if given. At once where that needs no waiting. */
  read(object: ObjectState, block: number, span: Span, into?: Buffer): GetResult | Promise<GetResult> {
    return this.#noted(object, block, span, this.#reader.read(object, block, span, into));
  }

  /** The same, for a caller who may look again and notes what came of it by himself. */
  look(object: ObjectState, block: number, span: Span, into?: Buffer): GetResult | Promise<GetResult> {
    return this.#reader.read(object, block, span, into);
  }

  /** The same, and some of these reads are timed. */
  readTimed(object: ObjectState, block: number, span: Span, into?: Buffer): GetResult | Promise<GetResult> {
    if (!this.#parts.latencies.readDue()) return this.read(object, block, span, into);
    return this.#parts.latencies.read(() => this.read(object, block, span, into));
  }

  /** Tells an access to the recording, if there is one. */
  note(file: TracedFile, block: number, span: Span, outcome: TraceOutcome): void {
    this.#parts.tracing.recorder?.note(file, block, span.offsetBytes, span.lengthBytes, outcome);
  }

  #noted(
    object: ObjectState,
    block: number,
    span: Span,
    result: GetResult | Promise<GetResult>,
  ): GetResult | Promise<GetResult> {
    if (this.#parts.tracing.recorder === undefined) return result;
    const noted = (answer: GetResult): GetResult => {
      this.note(object, block, span, answer.kind);
      return answer;
    };
    return result instanceof Promise ? result.then(noted) : noted(result);
  }

  /**
   * Reads the part of `span` that is here into `target`, which is as long as the span.
   * @param endBytes where the block ends, by the size of its file.
   */
  async readParts(
    object: ObjectState,
    block: number,
    span: Span,
    endBytes: number,
    target: Buffer,
  ): Promise<PartsRead> {
    const answer = await this.#reader.readParts(object, block, span, endBytes, target);
    this.note(object, block, span, outcomeOf(answer));
    return answer;
  }

  /**
   * Stores a part of a block, or that it is zero if there are no bytes. Pages that it covers in part and that are not here
   * are left out, unless the rest of them lies past `endBytes`, where the block ends.
   */
  async write(
    object: ObjectState,
    block: number,
    part: { readonly span: Span; readonly bytes?: Buffer },
    endBytes: number,
  ): Promise<ChangeAnswer> {
    const { leases } = this.#life;
    const change = () => this.#changer.write(object, block, part, endBytes);
    const answer = await (part.bytes === undefined
      ? change()
      : this.#admitted(object, block, part.span, this.#claimOf(object, block, false), change));
    const stored = answer.kind === "done" ? answer.stored : undefined;
    if (stored !== undefined) leases.stored(object, block);
    if (part.bytes !== undefined) {
      this.note(object, block, stored ?? part.span, stored === undefined ? "refused" : "stored");
    }
    return answer;
  }

  /** From the moment this resolves nothing past `endBytes` is in the block. */
  cut(object: ObjectState, block: number, endBytes: number): Promise<void> {
    return this.#changer.cut(object, block, endBytes);
  }

  /** From the moment this resolves no page that the span touches is in the block. */
  forget(object: ObjectState, block: number, span: Span): Promise<void> {
    return this.#changer.forget(object, block, span);
  }

  /** Stores a whole block of 1 to 256 KiB. @param asked somebody is known to want it: it is no guess. */
  async store(object: ObjectState, block: number, bytes: Buffer, asked = false): Promise<PutResult> {
    const { latencies, now } = this.#parts;
    const { leases } = this.#life;
    const beganMs = now();
    const span = { offsetBytes: 0, lengthBytes: bytes.length };
    const claim = this.#claimOf(object, block, asked);
    const result = await this.#admitted(object, block, span, claim, () =>
      this.#writer.store(object, block, bytes),
    );
    if (result.kind === "stored") {
      latencies.since("put", beganMs);
      leases.stored(object, block);
    }
    this.note(object, block, span, result.kind === "stored" ? "stored" : "refused");
    return result;
  }

  #claimOf(object: ObjectState, block: number, asked: boolean): Claim {
    if (object.holds > 0 || this.#parts.pins.covers(object)) return "promised";
    return asked || object.staged || this.current(object, block) !== undefined ? "asked" : "first";
  }

  /** Runs a write if the drive may be bothered with it. */
  // oxlint-disable-next-line max-params
  async #admitted<Result extends PutResult | ChangeAnswer>(
    object: ObjectState,
    block: number,
    { offsetBytes, lengthBytes }: Span,
    claim: Claim,
    write: () => Promise<Result>,
  ): Promise<Result | Bypass> {
    const { budget, counters } = this.#parts;
    const page = Math.floor(offsetBytes / PAGE_BYTES);
    if (!budget.admit(object, { block, page }, lengthBytes, claim)) {
      // Whoever asks again at once must not keep others waiting.
      await new Promise<void>((resolve) => setImmediate(resolve));
      return counters.bypass("write-budget");
    }
    let storedBytes = 0;
    try {
      const result = await write();
      if (result.kind === "stored") storedBytes = lengthBytes;
      else if (result.kind === "done") storedBytes = result.stored?.lengthBytes ?? 0;
      return result;
    } finally {
      budget.settle(lengthBytes, storedBytes);
    }
  }

  /** Drops a block, and keeps what is being stored under it from being published; resolves after its commit. */
  async remove(object: ObjectState, block: number): Promise<boolean> {
    if (object.fills.size > 0) object.raiseFloor(block, this.#parts.takeSequence());
    this.#life.leases.removed(object, block);
    const entry = this.current(object, block);
    if (entry === undefined) {
      if (this.#life.index.wouldReturn(object.id, block)) await this.#life.index.settled();
      return false;
    }
    this.drop(object.id, block, entry);
    reached("remove: name dropped");
    await this.#life.index.settled();
    reached("remove: committed");
    return true;
  }

  /** The entry of a block, unless there is none, it was invalidated, or it does not read back. */
  current(object: ObjectState, block: number): Entry | undefined {
    if (!object.recorded) return undefined;
    const entry = this.entryOf(object.id, block);
    return entry === undefined || entry.sequence < object.stampOf(block) ? undefined : entry;
  }

  /** Whether all of a block is here, as far as the index knows. */
  isWhole(object: ObjectState, block: number): boolean {
    const entry = this.current(object, block);
    if (entry === undefined) return false;
    const { validBytes } = entry;
    return isAvailable(entry, { offsetBytes: 0, lengthBytes: validBytes }, validBytes);
  }

  /** Whether this very entry is still the block's. */
  stands(object: ObjectState, block: number, entry: Entry): boolean {
    const now = this.current(object, block);
    return now !== undefined && now.sequence === entry.sequence && now.epoch === entry.epoch;
  }

  /** Whether the slot that an entry names is its own; one of before this session may become so now. */
  owns({ object, block, entry }: { object: ObjectState; block: number; entry: Entry }): boolean {
    const { table, claim } = this.#parts;
    if (table.isTenant(entry.slot, object.id, block)) return true;
    return table.surveying && claim({ objectId: object.id, block, entry }, object.volume);
  }

  /** Queues the removal of an entry; its slot follows. */
  drop(objectId: number, block: number, entry: Entry): void {
    this.#life.index.removeEntry(objectId, block);
    if (this.#parts.table.isTenant(entry.slot, objectId, block)) this.#life.room.leave(entry.slot);
  }

  /** Queues the removal of the entry that names this slot's tenant, if it does name the slot. */
  dropTenant(slot: number): void {
    const { table } = this.#parts;
    const { index } = this.#life;
    const [objectId, block] = [table.objectIdOf(slot), table.blockOf(slot)];
    try {
      if (index.slotOf(objectId, block) === slot) index.removeEntry(objectId, block);
    } catch (error) {
      this.#dropUnreadable(objectId, block, error);
    }
  }

  /** An entry that does not read back is dropped and counts as none: LMDB does not check its pages. */
  entryOf(objectId: number, block: number): Entry | undefined {
    try {
      return this.#life.index.getEntry(objectId, block);
    } catch (error) {
      this.#dropUnreadable(objectId, block, error);
      return undefined;
    }
  }

  #dropUnreadable(objectId: number, block: number, error: unknown): void {
    if (!isCacheError(error, "E_INDEX_CORRUPT")) throw error;
    this.#parts.counters.corrupt += 1;
    this.#parts.log("warn", "an entry of the index does not read back and is dropped", {
      error: error.message,
    });
    this.#life.index.removeEntry(objectId, block);
  }
}

function outcomeOf({ gaps, bypass }: PartsRead): TraceOutcome {
  if (bypass !== undefined) return "bypass";
  return gaps.length === 0 ? "hit" : "miss";
}
