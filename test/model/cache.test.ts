/** The whole cache against a map; the map is in model-run.ts. */
import "../support/in-memory.js";
import fc from "fast-check";
import { suite } from "uvu";
import type { OpenCacheOptions } from "../../engine/cache.js";
import { CAPACITY_BYTES, MIB } from "../support/temp-cache.js";
import { roundsOf } from "../support/effort.js";
import { checkSteps } from "./check.js";
import { ModelRun } from "./model-run.js";
import { type Step, step } from "./steps.js";

const RUNS = roundsOf(6);
const STEPS_MAX = 50;
const TIME_LIMIT_MS = 60_000;

function check(steps: readonly Step[], options: Partial<OpenCacheOptions>, tight: boolean): Promise<void> {
  const newRun = (directory: string) => new ModelRun(directory, options, tight);
  return checkSteps<Step>({ steps, reopen: { do: "reopen" }, newRun });
}

const model = suite("cache against a map");
const steps = fc.array(step, { minLength: 1, maxLength: STEPS_MAX, size: "max" });
const settings = { numRuns: RUNS, includeErrorInReport: true, interruptAfterTimeLimit: TIME_LIMIT_MS };

model("with room for everything, nothing is ever missing and nothing wrong", async () => {
  const options = { capacityBytes: CAPACITY_BYTES };
  await fc.assert(
    fc.asyncProperty(steps, (all) => check(all, options, false)),
    settings,
  );
});

model("with 16 slots there are misses, and nothing wrong", async () => {
  const options = { capacityBytes: CAPACITY_BYTES, slotsMax: 16 };
  await fc.assert(
    fc.asyncProperty(steps, (all) => check(all, options, true)),
    settings,
  );
});

model("with 4 MiB there are misses, and nothing wrong", async () => {
  const options = { capacityBytes: 4 * MIB };
  await fc.assert(
    fc.asyncProperty(steps, (all) => check(all, options, true)),
    settings,
  );
});

model.run();
