/**
 * The next owner after a cut: `survivor.js <order>`. Opens the cache, looks at everything it has and at the ledger, works
 * on, stops clean, and has fsck look at it. Prints what it found as a line of JSON.
 */
import { readFileSync } from "node:fs";
import { type BlockCache, type OpenCacheOptions, openCache } from "../../../engine/cache.js";
import { fsckDirectory } from "../../../engine/fsck/fsck.js";
import { type Finding, lookAround } from "../promised/look.js";
import type { Expectation } from "../promised/model.js";
import { contentOf, putSome, seededRandom } from "../support.js";
import { until } from "../../support/temp-cache.js";
import { LIMITS } from "./limits.js";

export interface Order {
  readonly directory: string;
  readonly onUnclean: string;
  readonly expected: Expectation;
}

const NEW_BLOCKS = 6;
const CHECKED_MS_MAX = 30_000;

async function survive({ directory, onUnclean, expected }: Order): Promise<Finding> {
  const cache = await openCache({ directory, ...LIMITS, onUnclean } as OpenCacheOptions);
  const finding = await lookAround(cache, expected);
  const problems = [...finding.problems];
  // What nobody can ask for any more is checked by the scrub alone.
  if (finding.action === "verify") await until(() => isChecked(cache), CHECKED_MS_MAX);
  const { epoch } = await cache.status();
  const stored = await putSome(cache, seededRandom(epoch), { fs: "later", count: NEW_BLOCKS });
  if (stored.length < NEW_BLOCKS)
    problems.push(`later: ${stored.length} of ${NEW_BLOCKS} blocks were stored`);
  for (const { tag, version, lengthBytes } of stored) {
    const answer = await cache.get(tag);
    if (answer.kind !== "hit" || !answer.bytes.equals(contentOf(tag, version, lengthBytes)))
      problems.push(`later: block ${tag.block} that was just stored is a ${answer.kind}`);
  }
  await cache.close();
  const { findings } = await fsckDirectory({ directory, deep: true });
  // What a file system allocates past the end of a file, as xfs does for a while, is nothing that a cut did.
  const found = findings.filter(({ code }) => code !== "slot-accounting");
  problems.push(...found.map((each) => `later: fsck says ${JSON.stringify(each)}`));
  return { ...finding, problems };
}

async function isChecked(cache: BlockCache): Promise<boolean> {
  const { surveying, uncheckedBlocks, scrub } = (await cache.status()).trust;
  return !surveying && uncheckedBlocks === 0 && scrub.state === "idle";
}

const order = JSON.parse(readFileSync(process.argv[2] as string, "utf8")) as Order;
console.log(JSON.stringify(await survive(order)));
