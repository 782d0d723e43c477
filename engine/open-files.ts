/** Files that somebody has open, in this process: looked at, kept from culling, let go. Storing one whole: staged-file.ts. */
import { NO_SLOT } from "../index/core/layout.js";
import { checkName } from "../index/core/names.js";
import type { BypassReason } from "./api.js";
import type { Life } from "./block-parts.js";
import { type OpenFileParts, lookAt } from "./file-look.js";
import type { ObjectState } from "./object-states.js";
import type {
  CullRank,
  FileLook,
  FileName,
  HeldFile,
  HoldOptions,
  HoldResult,
  HoldStatus,
} from "./open-api.js";
import { StagedFiles } from "./staged-file.js";

const MISS = { kind: "miss" } as const;

export class OpenFiles {
  readonly #parts: OpenFileParts;
  readonly staged: StagedFiles;
  /** Files of this life that are held. */
  #held = new Set<ObjectState>();
  #life: Life;

  constructor(parts: OpenFileParts) {
    this.#parts = parts;
    this.#life = parts.blocks.life;
    this.staged = new StagedFiles(parts, (object) => this.#heldFile(object));
  }

  get status(): HoldStatus {
    const { blocks, limits } = this.#parts;
    const { heldBytes, keptBytes } = blocks.life.ranking.kept.held;
    return {
      files: this.#ofThisLife().size,
      bytes: heldBytes,
      keptBytes,
      bytesMax: limits().holdBytesMax,
      stagedBytes: this.staged.bytes,
    };
  }

  /** As OpenFileCalls.look. */
  look(file: FileName): FileLook | undefined {
    const object = this.#find(file);
    return object && lookAt(this.#parts, object);
  }

  /** As OpenFileCalls.hold. */
  hold(file: FileName, { rank }: HoldOptions, refused: BypassReason | undefined): HoldResult {
    const { counters } = this.#parts;
    if (refused !== undefined) return counters.bypass(refused);
    const object = this.#find(file);
    if (object === undefined) return MISS;
    if (object.holds === 0 && !this.#mayHold(object)) return counters.bypass("no-space");
    if (rank !== undefined) object.rank = rank;
    object.holds += 1;
    this.#parts.blocks.life.objects.hold(object);
    if (object.holds === 1 || rank !== undefined) this.#holdSlots(object, object.rank);
    return { kind: "held", file: this.#heldFile(object) };
  }

  /** As OpenFileCalls.rank. */
  rank(file: FileName, rank: CullRank): void {
    const object = this.#find(file);
    if (object === undefined) return;
    object.rank = rank;
    const { ranking } = this.#parts.blocks.life;
    for (const slot of this.#slotsOf(object)) ranking.rank(slot, rank);
  }

  #find({ fs, volume, inode }: FileName): ObjectState | undefined {
    const { objects } = this.#parts.blocks.life;
    const found = objects.volumes.find(fs, volume);
    const object = found && objects.findIn(found, inode);
    if (found === undefined) checkName("inode", inode);
    return object?.recorded === true ? object : undefined;
  }

  #mayHold(object: ObjectState): boolean {
    const { table, blocks } = this.#parts;
    const { ranking } = blocks.life;
    let slots = 0;
    let pages = 0;
    for (const slot of this.#slotsOf(object)) {
      if (ranking.isKept(slot)) continue;
      slots += 1;
      pages += table.pagesOf(slot);
    }
    return ranking.kept.mayHold(slots, pages);
  }

  #holdSlots(object: ObjectState, rank: CullRank): void {
    const { ranking } = this.#parts.blocks.life;
    for (const slot of this.#slotsOf(object)) ranking.hold(slot, rank);
  }

  /** A hold that is counted already, as something that can be released once. */
  #heldFile(object: ObjectState): HeldFile {
    const { life } = this.#parts.blocks;
    let held = true;
    this.#ofThisLife().add(object);
    const release = (): void => {
      if (!held) return;
      held = false;
      if (life === this.#parts.blocks.life) this.#release(object);
    };
    const { stampMax } = object;
    const isCurrent = (): boolean =>
      life === this.#parts.blocks.life && object.recorded && object.stampMax === stampMax;
    return {
      release,
      get current(): boolean {
        return isCurrent();
      },
    };
  }

  #release(object: ObjectState): void {
    const { blocks, housekeeper, pins } = this.#parts;
    const { objects, ranking } = blocks.life;
    object.holds -= 1;
    if (object.holds === 0) {
      this.#held.delete(object);
      const pinned = pins.covers(object);
      for (const slot of this.#slotsOf(object)) {
        if (pinned) ranking.pin(slot); // it may have found no room before
        ranking.letGo(slot);
      }
      housekeeper.noteLeft(object.id);
    }
    objects.letGo(object);
  }

  *#slotsOf(object: ObjectState): Generator<number> {
    const { blocks, table } = this.#parts;
    for (const { block } of blocks.life.index.blocksOf(object.id)) {
      const entry = blocks.entryOf(object.id, block);
      if (entry !== undefined && entry.slot !== NO_SLOT && table.isTenant(entry.slot, object.id, block))
        yield entry.slot;
    }
  }

  #ofThisLife(): Set<ObjectState> {
    if (this.#life !== this.#parts.blocks.life) {
      this.#life = this.#parts.blocks.life;
      this.#held = new Set();
    }
    return this.#held;
  }
}
