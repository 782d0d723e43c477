/**
 * Opens a cache, fills it with small blocks unless it has some, closes it when the lookup file is being filled, and says so:
 * `stopper.js <directory> <turns after it is there>`.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { openCache } from "../../engine/cache.js";

const BLOCKS = 3000;

const [directory = "", turns = "1"] = process.argv.slice(2);
const tag = (block: number) => ({ fs: "f", volume: "v", inode: "i", block });
const cache = await openCache({ directory, capacityBytes: 1024 ** 3, publish: true });
if (!(await cache.has(tag(0)))) {
  await Promise.all(Array.from({ length: BLOCKS }, (_, block) => cache.put(tag(block), Buffer.alloc(1))));
}
while (!existsSync(join(directory, "lookup"))) await turn();
for (let left = Number(turns); left > 0; left -= 1) await turn();
await cache.close();
console.log("closed");
