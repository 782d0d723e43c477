/** A mixed load that checks every answer: eight workers, each with files of its own in a volume of its own and in shared ones. */
import assert from "node:assert/strict";
import { type BlockCache, type Tag, type VolumeHandle, isCacheError } from "../../engine/cache.js";
import { between, contentOf, seededRandom, someLength } from "./support.js";

export const WORKERS = 8;
const FILES = 4;
const BLOCKS = 12;
const OWN_VOLUME_FILE = 0;
/** Above it the whole cache is wiped: some times a second. */
const WIPE_DICE = 0.9995;

/** What a worker knows of a block: its last version, or that it can't be there. */
type Known = { readonly version: number; readonly lengthBytes: number } | undefined;

function tagOf(worker: number, file: number, block: number): Tag {
  const volume = file === OWN_VOLUME_FILE ? `own ${worker}` : `shared ${file}`;
  return { fs: "load", volume, inode: `worker ${worker} file ${file}`, block };
}

/** Every tag that the load may have stored. */
export function* loadTags(): Generator<Tag> {
  for (let worker = 0; worker < WORKERS; worker += 1) {
    for (let file = 0; file < FILES; file += 1) {
      for (let block = 0; block < BLOCKS; block += 1) yield tagOf(worker, file, block);
    }
  }
}

/** Never ends by itself; fails when the cache answers wrongly. */
export async function mixedLoad(cache: BlockCache, seed: number): Promise<void> {
  await Promise.all(Array.from({ length: WORKERS }, (_, worker) => work(cache, worker, seed + worker)));
}

async function work(cache: BlockCache, worker: number, seed: number): Promise<void> {
  const random = seededRandom(seed);
  const known = new Map<string, Known>();
  let volumes = await acquire(cache, worker);
  for (let version = 1; ; version += 1) {
    const file = between(random, 0, FILES - 1);
    const tag = tagOf(worker, file, between(random, 0, BLOCKS - 1));
    const key = `${file}/${tag.block}`;
    const dice = random();
    if (dice < 0.5) await put(cache, known, { key, tag, version, lengthBytes: someLength(random) });
    else if (dice < 0.85) await check(cache, tag, known.get(key));
    else if (dice < 0.95) {
      await cache.remove(tag);
      known.delete(key);
      await check(cache, tag, undefined);
    } else if (dice < WIPE_DICE) {
      const stale = await invalidate({ ...volumes, worker, known, whole: dice > 0.99 });
      if (stale) volumes = await acquire(cache, worker);
    } else await cache.wipe();
  }
}

interface Volumes {
  readonly own: VolumeHandle;
  readonly shared: VolumeHandle;
}

async function acquire(cache: BlockCache, worker: number): Promise<Volumes> {
  const own = await cache.acquireVolume("load", `own ${worker}`);
  return { own, shared: await cache.acquireVolume("load", "shared 1") };
}

async function put(
  cache: BlockCache,
  known: Map<string, Known>,
  block: { key: string; tag: Tag; version: number; lengthBytes: number },
): Promise<void> {
  const { key, tag, version, lengthBytes } = block;
  const answer = await cache.put(tag, contentOf(tag, version, lengthBytes));
  if (answer.kind === "stored") known.set(key, { version, lengthBytes });
}

/** A miss is always right, since blocks are culled; a hit must have the last version's bytes. */
async function check(cache: BlockCache, tag: Tag, known: Known): Promise<void> {
  const answer = await cache.get(tag);
  if (answer.kind !== "hit") return;
  assert.ok(known !== undefined, `a hit of block ${tag.block}, which was dropped`);
  assert.ok(answer.bytes.equals(contentOf(tag, known.version, known.lengthBytes)), "wrong bytes");
}

/** @returns whether the handles ended with a wipe; what was known is then gone, and nothing else may be there. */
async function invalidate(
  options: Volumes & { readonly worker: number; readonly known: Map<string, Known>; readonly whole: boolean },
): Promise<boolean> {
  const { own, shared, worker, known, whole } = options;
  const file = whole ? OWN_VOLUME_FILE : 1;
  try {
    if (whole) await own.invalidate();
    else {
      const cookie = await shared.acquireCookie(`worker ${worker} file 1`);
      await cookie.invalidate();
      await cookie.relinquish();
    }
  } catch (error) {
    if (isCacheError(error, "E_STALE")) return true;
    throw error;
  }
  for (const key of known.keys()) if (key.startsWith(`${file}/`)) known.delete(key);
  return false;
}
