/**
 * Scrub: reads blocks in the background, at a bounded rate, and drops those whose bytes are not what was stored. By itself
 * after an unclean end that is verified, over what nobody has checked since; on request over everything.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { NO_SLOT } from "../index/core/layout.js";
import { SCRUB_BYTES_PER_SECOND, type ScrubStatus } from "./api-trust.js";
import type { Blocks } from "./blocks.js";
import type { Life } from "./block-parts.js";
import { monotonicMs } from "./clock.js";
import type { LogFunction } from "./log.js";
import type { Checksummer } from "./slots/checksums.js";
import { checkedBytes, heldBadGroup } from "./slots/intact.js";
import type { SlotFiles } from "./slots/slot-files.js";
import { STATE, type SlotTable } from "./slots/slot-table.js";

/** A slot takes some time even where it has few bytes. */
const SLOT_BYTES_MIN = 4096;
const SLOTS_A_TURN = 4096;

export interface ScrubParts {
  readonly table: SlotTable;
  readonly files: SlotFiles;
  readonly checksummer: Checksummer;
  readonly blocks: Blocks;
  readonly log: LogFunction;
  readonly onCorrupt: (what: string, slot: number) => void;
  /** The drive is left alone for now. */
  readonly sick: () => boolean;
}

interface Run {
  readonly all: boolean;
  readonly bytesPerSecond: number;
}

export class Scrub {
  readonly #parts: ScrubParts;
  #run: Run | undefined;
  #running: Promise<void> = Promise.resolve();
  #status: ScrubStatus = { state: "idle", blocks: 0, bytes: 0, corrupt: 0, bytesPerSecond: 0 };

  constructor(parts: ScrubParts) {
    this.#parts = parts;
  }

  get status(): ScrubStatus {
    return this.#status;
  }

  /** Begins; one that runs is given up for it. @param all blocks that were checked since the unclean end too. */
  async start({ all, bytesPerSecond = SCRUB_BYTES_PER_SECOND }: { all: boolean; bytesPerSecond?: number }) {
    await this.stop();
    this.#run = { all, bytesPerSecond };
    this.#status = { state: "running", blocks: 0, bytes: 0, corrupt: 0, bytesPerSecond };
    this.#running = this.#scrub(this.#run).catch((error: unknown) => {
      this.#parts.log("warn", "the scrub ended early", { error: String(error) });
      this.#status = { ...this.#status, state: "idle" };
    });
  }

  /** As TrustCalls.scrub. */
  request({ bytesPerSecond }: { bytesPerSecond: number }): Promise<void> {
    return bytesPerSecond === 0 ? this.stop() : this.start({ all: true, bytesPerSecond });
  }

  /** Resolves when nothing is being read. */
  async stop(): Promise<void> {
    this.#run = undefined;
    await this.#running;
  }

  async #scrub(run: Run): Promise<void> {
    const { table, blocks, log, sick } = this.#parts;
    const { life } = blocks;
    const over = (): boolean => this.#run !== run || life !== blocks.life;
    const beganMs = monotonicMs();
    let paid = 0;
    for (let slot = 0; slot < table.numbers && !over(); slot += 1) {
      if (slot % SLOTS_A_TURN === SLOTS_A_TURN - 1)
        await new Promise<void>((resolve) => setImmediate(resolve));
      if (table.stateOf(slot) !== STATE.used || (!run.all && !table.unchecked.has(slot)) || sick()) continue;
      paid += Math.max(SLOT_BYTES_MIN, await this.#check(life, slot));
      const aheadMs = (paid / run.bytesPerSecond) * 1000 - (monotonicMs() - beganMs);
      if (aheadMs > 1) await sleep(Math.min(aheadMs, 1000));
    }
    this.#status = { ...this.#status, state: "idle" };
    if (over()) return;
    const { blocks: count, bytes, corrupt } = this.#status;
    log("info", "scrub done", { blocks: count, bytes, corrupt });
  }

  /** @returns the bytes read. */
  async #check(life: Life, slot: number): Promise<number> {
    const { table, blocks, files, checksummer, onCorrupt } = this.#parts;
    const [objectId, block] = [table.objectIdOf(slot), table.blockOf(slot)];
    const entry = blocks.entryOf(objectId, block);
    if (entry === undefined || entry.slot !== slot || slot === NO_SLOT) return 0;
    let bad: number | undefined;
    try {
      const reading = { files, checksummer, blocks, room: life.room };
      bad = await heldBadGroup(reading, { objectId, block, entry });
    } catch {
      return 0; // what cannot be read is found out by whoever asks for it, and counted there
    }
    const bytes = checkedBytes(entry);
    const { status } = this;
    const now = blocks.entryOf(objectId, block);
    const stands = now?.slot === slot && now.sequence === entry.sequence && now.version === entry.version;
    this.#status = { ...status, blocks: status.blocks + 1, bytes: status.bytes + bytes };
    if (!stands || life !== blocks.life) return bytes;
    if (bad === undefined) table.unchecked.forget(slot);
    else {
      this.#status = { ...this.#status, corrupt: status.corrupt + 1 };
      onCorrupt("a block failed its checksum and is dropped", slot);
      blocks.drop(objectId, block, entry);
    }
    return bytes;
  }
}
