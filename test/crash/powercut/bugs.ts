/**
 * Bugs planted in the process that carries the load, to show that the rig sees such bugs: what should be durable is not,
 * and nobody is told. They are put over the engine from outside; nothing in it knows of them.
 */
import { closeSync, openSync } from "node:fs";
import { Environment } from "../../../index/environment.js";
import { type SlotIo, nodeIo } from "../../../engine/slots/io.js";
import type { Scene } from "./cuts.js";

export const BUGS = {
  "slots are not synced": "stopped",
  "the index is not synced": "stopped",
  "the ledger is not synced": "ledger",
  "the clean mark comes before the data": "stopped",
} as const satisfies Readonly<Record<string, Scene>>;
export type Bug = keyof typeof BUGS;

const LATE_MS = 1000;

/** What of the options to open the cache with. */
export function plant(bug: Bug): { readonly io?: SlotIo } {
  switch (bug) {
    case "slots are not synced":
      return { io: { ...nodeIo, fdatasync: async () => undefined } };
    case "the clean mark comes before the data":
      return { io: { ...nodeIo, fdatasync: async (fd) => syncLater(fd) } };
    case "the index is not synced":
      Environment.prototype.sync = async () => undefined;
      return {};
    case "the ledger is not synced": {
      const open = Environment.open.bind(Environment);
      Environment.open = (options) =>
        open(options.directory.endsWith("ledger") ? { ...options, regime: "volatile" } : options);
      return {};
    }
  }
}

/** On a descriptor of its own, because the slot's may be closed by then. */
function syncLater(fd: number): void {
  const own = openSync(`/proc/self/fd/${fd}`, "r+");
  setTimeout(() => {
    void nodeIo.fdatasync(own).finally(() => closeSync(own)); // too late in any case
  }, LATE_MS);
}
