/**
 * Reads an index of doubtful state from end to end, and commits once, in a process of its own: LMDB does not check its pages,
 * and a damaged one may end whoever maps it. Nobody else may have the index open. Its arguments are one JSON text (IndexProbe);
 * it prints `sound`, or what is wrong, and is killed by what LMDB cannot bear.
 */
import { BlockIndex } from "./block-index.js";
import { isCacheError } from "./core/errors.js";

/** What a probe is to look at. */
export interface IndexProbe {
  readonly directory: string;
  readonly mapBytes: number;
  /** Hexadecimal. */
  readonly cacheId: string;
  readonly epoch: number;
  /** Reading ends after so long, however much is left. */
  readonly msMax: number;
  /** Nothing is committed, and numbers need not be spoken for. */
  readonly readOnly?: boolean;
}

/** A look at the clock for so many records. */
const RECORDS_A_LOOK = 256;

async function probe({ readOnly = false, msMax, ...place }: IndexProbe): Promise<string> {
  const { directory, mapBytes, cacheId, epoch } = place;
  const options = { directory, mapBytes, cacheId: Buffer.from(cacheId, "hex"), epoch, create: false };
  const index = BlockIndex.open({ ...options, regime: readOnly ? "volatile" : "recoverable" });
  if (!readOnly && index.spokenFor() === undefined) return "it says nothing of the numbers that were given";
  const endMs = performance.now() + msMax;
  index.stats();
  for (const walk of [names(index), blocks(index), metadata(index)]) {
    let records = 0;
    for (const _ of walk) {
      records += 1;
      if (records % RECORDS_A_LOOK === 0 && performance.now() > endMs) break;
    }
  }
  if (!readOnly) {
    index.moveTo(epoch); // a commit takes free pages, and frees some
    await index.sync();
  }
  await index.close();
  return "sound";
}

function* names(index: BlockIndex): Generator<unknown> {
  for (const volume of index.volumes()) {
    yield volume;
    yield* index.objectsOf(volume.id);
  }
}

function* blocks(index: BlockIndex): Generator<unknown> {
  yield* index.entries();
}

function* metadata(index: BlockIndex): Generator<unknown> {
  let after: Buffer | undefined;
  do {
    const { records, next } = index.metadata.slice({ recordsMax: RECORDS_A_LOOK, after });
    yield* records;
    after = next;
  } while (after !== undefined);
}

try {
  process.stdout.write(await probe(JSON.parse(process.argv[2] ?? "") as IndexProbe));
} catch (error) {
  if (!isCacheError(error)) throw error;
  process.stdout.write(error.message);
}
process.exit(0);
