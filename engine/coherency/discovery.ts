/**
 * After an unclean end the slot files are there and nobody knows their sizes. They are looked at in slices beside the
 * running service, so that a start costs the same for any number of them; until then nothing new is allocated.
 */
import type { Room } from "../cull/room.js";
import type { LogFunction } from "../log.js";
import { pagesOf } from "../../index/core/layout.js";
import type { SlotFiles } from "../slots/slot-files.js";
import { STATE, type SlotTable } from "../slots/slot-table.js";
import { reached } from "../../index/core/steps.js";

/** Some 6 µs each: a slice stays under 4 ms. */
const SLICE_SLOTS = 512;

export class Discovery {
  readonly #table: SlotTable;
  readonly #files: SlotFiles;
  readonly #room: () => Room;
  readonly #log: LogFunction;
  #next = 0;
  #stopped = false;
  #running: Promise<void> = Promise.resolve();

  constructor(options: { table: SlotTable; files: SlotFiles; room: () => Room; log: LogFunction }) {
    this.#table = options.table;
    this.#files = options.files;
    this.#room = options.room;
    this.#log = options.log;
  }

  /** Looks at the first slice at once and at the rest in the background. */
  start(): void {
    if (this.#table.countOf(STATE.unknown) === 0) return;
    this.#slice();
    this.#running = this.#run().catch((error: unknown) => {
      this.#log("warn", "slots left by the last owner could not all be looked at", { error: String(error) });
    });
  }

  /** Resolves when nothing is under way; what was not looked at stays unknown. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#stopped && this.#table.countOf(STATE.unknown) > 0) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      this.#slice();
    }
    if (this.#stopped) return;
    reached("open: old slots seen");
    await this.#room().fit();
    this.#log("info", "all slots left by the last owner were looked at", { slots: this.#table.existing });
  }

  #slice(): void {
    const table = this.#table;
    for (let looks = 0; looks < SLICE_SLOTS && this.#next < table.numbers; this.#next += 1) {
      if (table.stateOf(this.#next) !== STATE.unknown) continue;
      looks += 1;
      this.#look(this.#next);
    }
    this.#room().changed();
  }

  #look(slot: number): void {
    try {
      const bytes = this.#files.allocatedBytes(slot);
      if (bytes === undefined) this.#table.move(slot, STATE.unknown, STATE.retired);
      else this.#room().found(slot, pagesOf(bytes));
    } catch (error) {
      this.#log("warn", "a slot left by the last owner is set aside", { slot, error: String(error) });
      this.#table.move(slot, STATE.unknown, STATE.quarantined);
    }
  }
}
