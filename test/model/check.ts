/** Runs the steps of a model test on a fresh cache, reopens it, and wants it sound at the end. */
import { expectSound, withPlace } from "../support/temp-cache.js";

/** A cache beside what it may answer. */
export interface CheckedRun<Step> {
  open(): Promise<void>;
  step(what: Step): Promise<void>;
  checkAll(): Promise<void>;
  close(): Promise<void>;
}

export interface CheckOptions<Step> {
  readonly steps: readonly Step[];
  readonly reopen: Step;
  readonly newRun: (directory: string) => CheckedRun<Step>;
}

export async function checkSteps<Step>({ steps, reopen, newRun }: CheckOptions<Step>): Promise<void> {
  await withPlace(async (directory) => {
    const run = newRun(directory);
    await run.open();
    try {
      for (const what of steps) await run.step(what);
      await run.checkAll();
      await run.step(reopen);
      await run.checkAll();
    } finally {
      await run.close();
    }
    await expectSound(directory);
  });
}
