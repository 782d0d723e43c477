/** The owner of a cache with a flipped bit: opens it, reads and writes, closes, and says what came of it. See flips.ts. */
import type { OwnedCache } from "../../engine/api.js";
import { isCacheError } from "../../index/core/errors.js";
import { bytesOf, openAt } from "../support/temp-cache.js";
import { BLOCKS, BYTES, type Outcome, flipTag } from "./flips.js";

const OPTIONS = { onUnclean: "verify" } as const;
const NO_HITS = "no hits";
/** What an operator is told to do about a ledger, or a directory, that does not read back. */
const ADVICE =
  /move .* away|want (its own|an empty directory|a local file system)|is not that of a tagcache|this program knows|Cannot use /;

async function look(directory: string): Promise<Outcome> {
  const cache = await openAt(directory, OPTIONS);
  try {
    return await use(cache);
  } finally {
    await cache.close();
  }
}

async function use(cache: OwnedCache): Promise<Outcome> {
  const { start } = await cache.status();
  let hits = 0;
  for (let round = 0; round < 2; round += 1) {
    for (let block = 0; block < BLOCKS; block += 1) {
      const found = await cache.get(flipTag(block));
      if (found.kind !== "hit") continue;
      hits += 1;
      if (!found.bytes.equals(bytesOf(block, BYTES))) return { kind: "WRONG", detail: `block ${block}` };
    }
    // What is stored now is there afterwards, and whoever has the neighbour's number does not get it.
    for (let block = BLOCKS; block < BLOCKS + 4; block += 1)
      await cache.put(flipTag(block), bytesOf(block, BYTES));
    await cache.remove(flipTag(round));
  }
  const foreign = await cache.get({ ...flipTag(0), inode: "file9" });
  if (foreign.kind === "hit") return { kind: "WRONG", detail: "a file that never was has content" };
  const detail = start.reason ?? (hits === 0 ? NO_HITS : `${hits} hits`);
  return start.action === "wipe" ? { kind: "wiped", detail } : { kind: "right", detail };
}

/** An index that cannot commit is replaced by its owner, or keeps him from a clean stop; then the next one has to wipe it. */
async function afterFailure(directory: string, failure: string): Promise<Outcome> {
  const { kind, detail } = await look(directory);
  const empty = kind === "wiped" || (kind === "right" && detail === NO_HITS);
  return { kind: empty ? "died once, then wiped" : "WRONG", detail: `${failure}; then: ${detail}` };
}

const [task, ...directories] = process.argv.slice(2);
if (task === "leave") {
  const cache = await openAt(directories[0] as string, OPTIONS);
  for (let block = 0; block < BLOCKS; block += 1) await cache.put(flipTag(block), bytesOf(block, BYTES));
  await cache.pin({ fs: "test", volume: "volume", inode: "file0" });
  await cache.put(flipTag(BLOCKS), bytesOf(0, BYTES));
  await cache.remove(flipTag(BLOCKS)); // flushed, and all before it
  process.kill(process.pid, "SIGKILL");
}
for (const directory of directories) {
  let outcome: Outcome;
  try {
    outcome = await look(directory);
  } catch (error) {
    const refused = isCacheError(error) && ADVICE.test(error.message);
    outcome = { kind: refused ? "refused" : "WRONG", detail: String(error) };
    if (isCacheError(error, "E_IO")) outcome = await afterFailure(directory, outcome.detail);
  }
  await new Promise<void>((resolve) => process.stdout.write(`${JSON.stringify(outcome)}\n`, () => resolve()));
}
process.exit(0);
