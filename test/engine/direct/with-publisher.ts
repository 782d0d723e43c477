/** A publisher over an index of its own, whose commits the test holds back. */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { Publisher } from "../../../engine/direct/publisher.js";
import type { BlockIndex } from "../../../index/block-index.js";
import { STATE, SlotTable } from "../../../engine/slots/slot-table.js";
import { beforeCommit, cacheId, withIndex } from "../../index/support.js";
import { MIB, until } from "../../support/temp-cache.js";

export const CAPACITY_BYTES = 64 * MIB;
export const BUCKETS = Math.floor((CAPACITY_BYTES / 1000 - 512) / 512);

/** Lets commits through one at a time, when it is told to. */
export class Gate {
  readonly #waiting: Array<() => void> = [];
  held = false;

  readonly pass = async (): Promise<void> => {
    if (this.held) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  };

  /** A commit is held. */
  get reached(): boolean {
    return this.#waiting.length > 0;
  }

  next(): void {
    this.#waiting.shift()?.();
  }
}

/** Runs the body with an index that a publisher follows. */
export async function withPublisher(
  body: (parts: {
    index: BlockIndex;
    lookup: string;
    publisher: Publisher;
    gate: Gate;
    logged: string[];
    /** Another index is the cache's from now on. */
    replace: (next: BlockIndex) => void;
  }) => Promise<void>,
): Promise<void> {
  const gate = new Gate();
  await withIndex(
    async (index, directory) => {
      const slots = path.join(directory, "slots");
      fs.mkdirSync(slots);
      const lookup = path.join(directory, "lookup");
      const table = new SlotTable();
      for (let slot = 0; slot < 10; slot += 1) {
        table.append(STATE.used);
        table.setTenant(slot, { volumeId: 1, objectId: 1, block: slot }, 4096);
      }
      let present = index;
      const logged: string[] = [];
      const published = new Publisher({
        path: lookup,
        slots,
        directory,
        cacheId,
        epoch: () => 1,
        capacityBytes: () => CAPACITY_BYTES,
        index: () => present,
        table,
        mode: 0o600,
        log: (_level, message) => logged.push(message),
        retryMs: 20,
      });
      published.follow(index);
      published.restart();
      await until(() => published.publication !== undefined);
      const replace = (next: BlockIndex): void => void (present = next);
      await body({ index, lookup, publisher: published, gate, logged, replace });
      gate.held = false;
      gate.next();
      await published.close();
      assert.equal(fs.existsSync(lookup), false);
    },
    { wrapStore: beforeCommit(gate.pass) },
  );
}
