/**
 * What goes on beside the service after an unclean end, until all slots are known: those that the index names are told from
 * it if it is verified, the others are looked at and free. Then what nobody has checked is scrubbed.
 */
import type { BlockIndex } from "../../index/block-index.js";
import { messageOf } from "../../index/core/errors.js";
import { OnlineFsck, type OnlineParts } from "../fsck/online.js";
import { Quarantine, type QuarantineParts } from "../quarantine.js";
import { Scrub } from "../scrub.js";
import type { Counters } from "../counters.js";
import type { NamedEntry } from "../slots/intact.js";
import { Discovery } from "./discovery.js";
import type { OpenState } from "./open-state.js";
import { Survey, type SurveyParts } from "./survey.js";
import type { VolumeState } from "../object-states.js";

export interface RecoveryParts extends SurveyParts {
  readonly state: OpenState;
  readonly scrub: Scrub;
  /** Pins cover blocks that were not known before. */
  readonly refitPins: () => Promise<unknown>;
  /** The index can't be used any more. */
  readonly onIndexDeath: (error: unknown) => void;
}

export class Recovery {
  readonly #parts: RecoveryParts;
  #discovery: Discovery;
  #survey: Survey | undefined;
  #surveying: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(parts: RecoveryParts) {
    this.#parts = parts;
    this.#discovery = this.#newDiscovery();
  }

  /** Begins, and goes on in the background. */
  start(): void {
    this.#stopped = false;
    this.#discovery = this.#newDiscovery();
    if (!this.#parts.table.surveying) {
      this.#discovery.start();
      return;
    }
    this.#survey = new Survey(this.#parts);
    this.#surveying = this.#run(this.#survey).catch((error: unknown) => {
      this.#parts.log(
        "error",
        "the index could not be walked; what was not reached yet is claimed as it is asked for",
        {
          error: messageOf(error),
        },
      );
    });
  }

  /** Resolves when nothing is under way; what is not known yet stays unknown until the next start. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#survey?.stop();
    await this.#surveying;
    await Promise.all([this.#discovery.stop(), this.#parts.scrub.stop()]);
  }

  /** A block whose slot nobody has claimed yet was asked for. @returns whether the slot is its own now. */
  claim(named: NamedEntry, volume: VolumeState): boolean {
    return this.#survey?.claim(named, volume.id, this.#parts.blocks.life.ranking.shares.of(volume)) ?? false;
  }

  /** From now on a failed flush of the index is noted in the ledger: what is there may not be verified. Its death is told. */
  watch(index: BlockIndex): void {
    const { state, log, onIndexDeath } = this.#parts;
    index.watchDeath(onIndexDeath);
    index.watchLoss((error) => {
      log("error", "the drive failed to keep the index; this session will not end clean", {
        error: messageOf(error),
      });
      const { ledger } = state;
      void ledger.setMark({ ...ledger.mark, regime: "volatile" }).catch((failure: unknown) => {
        log("error", "that could not be noted in the ledger", { error: messageOf(failure) });
      });
    });
  }

  async #run(survey: Survey): Promise<void> {
    const { table, state, log, scrub, refitPins } = this.#parts;
    if (!(await survey.run())) return;
    table.surveying = false;
    const { surveying: _, ...mark } = state.ledger.mark;
    await state.ledger.setMark(mark);
    log("info", "all that the index names has its slot", { blocks: survey.claims });
    if (this.#stopped) return;
    this.#discovery.start();
    await refitPins();
    if (!this.#stopped) await scrub.start({ all: false });
  }

  #newDiscovery(): Discovery {
    const { table, files, blocks, log } = this.#parts;
    return new Discovery({ table, files, room: () => blocks.life.room, log });
  }
}

/** What checks a session's content. */
export interface Checkers {
  readonly scrub: Scrub;
  readonly fsck: OnlineFsck;
  readonly quarantine: Quarantine;
  /** What goes on after an unclean end. */
  readonly recovery: Recovery;
}

export function checkersOf(
  parts: Omit<RecoveryParts, "scrub" | "sessionSequence" | "onCorrupt"> & {
    readonly counters: Counters;
  } & Omit<OnlineParts & QuarantineParts, keyof SurveyParts>,
): Checkers {
  const { counters, health, log, state } = parts;
  const onCorrupt = (what: string, slot: number): void => {
    counters.corrupt += 1;
    log("warn", what, { slot });
  };
  const scrub = new Scrub({ ...parts, onCorrupt, sick: () => health.sick });
  const recovery = new Recovery({ ...parts, onCorrupt, scrub, sessionSequence: state.nextSequence });
  recovery.watch(state.index);
  return { scrub, recovery, fsck: new OnlineFsck(parts), quarantine: new Quarantine(parts) };
}
