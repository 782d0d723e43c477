/** Tours that end at a step, and the next owner's look at what is left. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { OpenCacheOptions } from "../../engine/cache.js";
import { STEPS, type Step } from "../../index/core/steps.js";
import type { Nursery } from "./children.js";
import { lookAround } from "./promised/look.js";
import type { Mark } from "./promised/marks.js";
import { Model } from "./promised/model.js";
import {
  SMALL,
  expectHits,
  expectInOrder,
  putSome,
  seededRandom,
  withCache,
  withDirectory,
} from "./support.js";
import type { TourOrder } from "./tour.js";

/** How often a tour that nobody ends reaches each step. */
export type StepCounts = Readonly<Partial<Record<Step, number>>>;

/** A whole tour. @returns how often each step was reached. Fails if any was not. */
export async function wholeTour(nursery: Nursery, onUnclean: string, seed: number): Promise<StepCounts> {
  return withDirectory(async (parent) => {
    const child = await nursery.take();
    child.tell(orderIn(parent, { onUnclean, seed }));
    const { counts } = (await child.says("toured")) as unknown as { counts: StepCounts };
    await child.kill();
    await look(parent, onUnclean, seed);
    const never = STEPS.filter((step) => counts[step] === undefined);
    assert.deepEqual(never, [], "the tour never reaches these steps");
    return counts;
  });
}

/** A tour that is killed at a step. @returns how the next owner found the cache. */
export async function killAt(
  nursery: Nursery,
  onUnclean: string,
  seed: number,
  dieAt: { readonly step: Step; readonly time: number },
): Promise<string> {
  return withDirectory(async (parent) => {
    const child = await nursery.take();
    child.tell(orderIn(parent, { onUnclean, seed, dieAt }));
    const toured = await child.getsTo("toured");
    await child.kill();
    // How often some steps are reached depends on how calls fall together.
    if (toured && dieAt.time > 1) return killAt(nursery, onUnclean, seed, { ...dieAt, time: 1 });
    assert.equal(toured, false, `the tour did not die at "${dieAt.step}"`);
    return look(parent, onUnclean, seed);
  });
}

function orderIn(parent: string, more: Omit<TourOrder, "directory" | "markFile">): TourOrder {
  return { directory: join(parent, "cache"), markFile: join(parent, "marks"), ...more };
}

async function look(parent: string, onUnclean: string, seed: number): Promise<string> {
  const directory = join(parent, "cache");
  const model = new Model();
  for (const line of readFileSync(join(parent, "marks"), "utf8").split("\n")) {
    if (line !== "") model.apply(JSON.parse(line) as Mark);
  }
  const options = { directory, ...SMALL, onUnclean } as OpenCacheOptions;
  const found = await withCache(options, async (cache) => {
    const { start, action, problems } = await lookAround(cache, model.expectation());
    assert.deepEqual([...model.problems, ...problems], []);
    const stored = await putSome(cache, seededRandom(seed), { fs: "later", count: 6 });
    assert.equal(stored.length, 6);
    await expectHits(cache, stored);
    return start === "clean" ? "clean" : action;
  });
  await expectInOrder(directory);
  return found;
}
