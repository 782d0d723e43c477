/**
 * Bugs planted in the process that carries the load, to show that the rig sees such bugs: what should be durable is not,
 * and nobody is told. They are put over the engine from outside; nothing in it knows of them.
 */
import { closeSync, openSync, realpathSync } from "node:fs";
import { Environment } from "../../../index/environment.js";
import { type SlotIo, nodeIo } from "../../../engine/slots/io.js";
import type { Scene } from "./cuts.js";

/** When a cut shows it, and what its next owner does. */
interface Planted {
  readonly scene: Scene;
  readonly onUnclean: "wipe" | "verify";
}

export const BUGS = {
  "slots are not synced": { scene: "stopped", onUnclean: "wipe" },
  "the index is not synced": { scene: "stopped", onUnclean: "wipe" },
  "the ledger is not synced": { scene: "ledger", onUnclean: "wipe" },
  "the clean mark comes before the data": { scene: "stopped", onUnclean: "wipe" },
  "what is stale is told before it is flushed": { scene: "stale", onUnclean: "verify" },
} as const satisfies Readonly<Record<string, Planted>>;
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
    case "the ledger is not synced":
      return volatile((isLedger) => isLedger);
    case "what is stale is told before it is flushed":
      Environment.prototype.sync = async () => undefined;
      return volatile((isLedger) => !isLedger);
  }
}

/** Some environments leave their commits to the kernel. */
function volatile(chosen: (isLedger: boolean) => boolean): Record<string, never> {
  const open = Environment.open.bind(Environment);
  Environment.open = (options) => {
    const isLedger = realpathSync(options.directory).endsWith("ledger"); // it is named by descriptor
    return open(chosen(isLedger) ? { ...options, regime: "volatile" } : options);
  };
  return {};
}

/** On a descriptor of its own, because the slot's may be closed by then. */
function syncLater(fd: number): void {
  const own = openSync(`/proc/self/fd/${fd}`, "r+");
  setTimeout(() => {
    void nodeIo.fdatasync(own).finally(() => closeSync(own)); // too late in any case
  }, LATE_MS);
}
