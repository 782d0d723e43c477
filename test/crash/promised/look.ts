/** The next owner's look at everything: whether a cache was found as the marks that were made allow. */
import type { BlockCache } from "../../../engine/cache.js";
import { contentOf } from "../support.js";
import { tagOf } from "./marks.js";
import { type ExpectedBlock, type Expectation, startProblems } from "./model.js";

export interface Finding {
  readonly start: string;
  readonly action: string;
  readonly hits: number;
  /** Each begins with its kind: `start`, `ledger`, `bytes`, `lost` or `later`. */
  readonly problems: readonly string[];
}

/** Asks for the pins and for every block. */
export async function lookAround(cache: BlockCache, expected: Expectation): Promise<Finding> {
  const { start, epoch } = await cache.status();
  const { kind, action } = start;
  const pins = (await cache.pins()).pins.map(({ inode }) => String(inode));
  const problems = startProblems(expected, { start: kind, action, epoch, pins });
  let hits = 0;
  for (const block of expected.blocks) {
    const answer = await cache.get(tagOf(block));
    const name = `block ${block.block} of file ${block.file} of worker ${block.worker}`;
    if (answer.kind === "hit") {
      hits += 1;
      if (!isOneOf(answer.bytes, block)) problems.push(`bytes: ${name}: ${told(answer.bytes, block)}`);
    } else if (kind === "clean" && block.must) {
      problems.push(`lost: ${name} is a ${answer.kind} in a clean cache`);
    }
  }
  if (hits > 0 && (action === "wipe" || kind === "new")) problems.push(`bytes: ${hits} hits after a wipe`);
  return { start: kind, action, hits, problems };
}

function isOneOf(bytes: Buffer, block: ExpectedBlock): boolean {
  return block.may.some(({ version, ofBytes, lengthBytes }) => {
    // What was cut off may take more with it, but nothing else changes.
    const fits = lengthBytes === ofBytes ? bytes.length === ofBytes : bytes.length <= lengthBytes;
    return fits && bytes.equals(contentOf(tagOf(block), version, ofBytes).subarray(0, bytes.length));
  });
}

function told(bytes: Buffer, block: ExpectedBlock): string {
  const version = bytes.length >= 16 ? `version ${bytes.readUInt32LE(4)}` : "something";
  const may = block.may.map((content) => `${content.lengthBytes} bytes of version ${content.version}`);
  return `${bytes.length} bytes of ${version}, want ${may.join(" or ") || "nothing"}`;
}
