/**
 * What an invalidation costs by the number of blocks it covers: `node dist/test/bench/invalidate.js`. Of each size a fresh
 * cache, filled without data; the volume is invalidated, each of its blocks is a miss from then on, and so on.
 */
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { openCache } from "../../engine/cache.js";
import { fillDirectory, filledTag, fullLimits } from "./filled.js";
import { median } from "./rounds.js";
import { zeroIo } from "./zero-io.js";

const SIZES = [1, 1000, 1_000_000];
const ROUNDS = 15;

interface Row {
  readonly blocks: number;
  /** Milliseconds; `first` is of a volume full of blocks, the others are medians of what follows. */
  readonly first: number;
  readonly volume: number;
  readonly fs: number;
  readonly file: number;
  readonly range: number;
}

async function measure(blocks: number): Promise<Row> {
  const place = fs.mkdtempSync(path.join(process.env["BENCH_DIR"] ?? os.tmpdir(), "tagcache-invalidate-"));
  const directory = path.join(place, "cache");
  try {
    await fillDirectory({ directory, blocks, recency: "stored" });
    const cache = await openCache({ directory, ...fullLimits(blocks), io: zeroIo });
    const { fs: system, volume, inode } = filledTag(0);
    const timed = async (target: Parameters<typeof cache.invalidate>[0]): Promise<number> => {
      const beganMs = performance.now();
      await cache.invalidate(target);
      return performance.now() - beganMs;
    };
    const several = async (target: Parameters<typeof cache.invalidate>[0]): Promise<number> => {
      const times: number[] = [];
      for (let round = 0; round < ROUNDS; round += 1) times.push(await timed(target));
      return median(times);
    };
    // The start's own work in the background, and code that has never run, are no part of it.
    await cache.put({ fs: "warm", volume: "up", inode: "file", block: 0 }, Buffer.alloc(1));
    for (let round = 0; round < ROUNDS; round += 1) await timed({ fs: "warm", volume: "up" });
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const first = await timed({ fs: system, volume });
    for (const index of [0, Math.floor(blocks / 2), blocks - 1]) {
      const got = await cache.get(filledTag(index));
      if (got.kind !== "miss") throw new Error(`want a miss, got ${got.kind}`);
    }
    const row = {
      blocks,
      first,
      volume: await several({ fs: system, volume }),
      fs: await several({ fs: system }),
      file: await several({ fs: system, volume, inode }),
      range: await several({ fs: system, volume, inode, range: { offsetBytes: 0n, lengthBytes: 2n ** 40n } }),
    };
    await cache.close();
    return row;
  } finally {
    fs.rmSync(place, { recursive: true, force: true });
  }
}

console.log(
  ["blocks", "first ms", "volume", "fs", "file", "range"].map((cell) => cell.padStart(10)).join(""),
);
for (const blocks of SIZES) {
  const row = await measure(blocks);
  const cells = [row.first, row.volume, row.fs, row.file, row.range].map((ms) => ms.toFixed(2));
  console.log([String(blocks), ...cells].map((cell) => cell.padStart(10)).join(""));
}
