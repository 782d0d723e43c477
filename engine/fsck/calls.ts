/** Checks as callers ask for them: arguments are checked here, and a wipe is waited for. */
import { CacheError } from "../../index/core/errors.js";
import type { FsckCalls } from "../fsck-api.js";
import { type Quarantine, quarantineCalls } from "../quarantine.js";
import type { OnlineFsck } from "./online.js";

export type { FsckCalls } from "../fsck-api.js";

export function fsckCalls(
  { fsck, quarantine }: { readonly fsck: OnlineFsck; readonly quarantine: Quarantine },
  betweenWipes: <T>(body: () => Promise<T>) => Promise<T>,
): FsckCalls {
  return {
    quarantine: quarantineCalls(quarantine, betweenWipes),
    start: (options = {}) => betweenWipes(async () => fsck.start(options)),
    status: ({ after = 0 } = {}) =>
      betweenWipes(async () => {
        if (Number.isSafeInteger(after) && after >= 0) return fsck.status(after);
        throw new CacheError(
          "E_ARGUMENT",
          `Cannot show findings after ${after}: want a whole number, 0 or more`,
        );
      }),
    stop: () =>
      betweenWipes(async () => {
        await fsck.stop("it was told to end");
        return fsck.status(0);
      }),
  };
}
