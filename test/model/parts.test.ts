/** Parts of files, sizes, invalidations, pins and flushes against sets of what pages may hold; those are in parts-run.ts. */
import "../support/in-memory.js";
import fc from "fast-check";
import { suite } from "uvu";
import type { OpenCacheOptions } from "../../engine/cache.js";
import { roundsOf } from "../support/effort.js";
import { CAPACITY_BYTES, MIB } from "../support/temp-cache.js";
import { checkSteps } from "./check.js";
import { PartsRun } from "./parts-run.js";
import { type Step, step } from "./parts-steps.js";

const RUNS = roundsOf(6);
const STEPS_MAX = 50;
const TIME_LIMIT_MS = 60_000;

function check(steps: readonly Step[], options: Partial<OpenCacheOptions>, tight: boolean): Promise<void> {
  const newRun = (directory: string) => new PartsRun(directory, options, tight);
  return checkSteps<Step>({ steps, reopen: { do: "reopen" }, newRun });
}

const model = suite("parts of files against sets of possible pages");
const steps = fc.array(step, { minLength: 1, maxLength: STEPS_MAX, size: "max" });
const settings = { numRuns: RUNS, includeErrorInReport: true, interruptAfterTimeLimit: TIME_LIMIT_MS };

model("with room for everything, nothing that was stored is missing and nothing wrong", async () => {
  const options = { capacityBytes: CAPACITY_BYTES };
  await fc.assert(
    fc.asyncProperty(steps, (all) => check(all, options, false)),
    settings,
  );
});

model("with 16 slots nothing is wrong, and nothing pinned missing", async () => {
  const options = { capacityBytes: CAPACITY_BYTES, slotsMax: 16 };
  await fc.assert(
    fc.asyncProperty(steps, (all) => check(all, options, true)),
    settings,
  );
});

model("with 4 MiB nothing is wrong, and nothing pinned missing", async () => {
  const options = { capacityBytes: 4 * MIB };
  await fc.assert(
    fc.asyncProperty(steps, (all) => check(all, options, true)),
    settings,
  );
});

model.run();
