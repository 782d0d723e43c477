/** Part of `make torture`: FLIPS bits (5,000 unless given) flipped in small caches, one a cache; FLIPS_SEED repeats a run. */
import "../support/in-memory.js";
import { randomInt } from "node:crypto";
import fs from "node:fs";
import { tellDone } from "../support/effort.js";
import { randomOf, withPlace } from "../support/temp-cache.js";
import { flipMany } from "./flips.js";

const flips = Number(process.env["FLIPS"] ?? 5000);
const seed = Number(process.env["FLIPS_SEED"] ?? randomInt(2 ** 31));
if (!Number.isSafeInteger(flips) || flips < 1 || !Number.isSafeInteger(seed)) {
  console.error("flips: FLIPS and FLIPS_SEED want whole numbers, FLIPS 1 or more");
  process.exit(64);
}
console.log(`${flips} flipped bits, seed ${seed}`);
await withPlace(async (place) => {
  fs.mkdirSync(place);
  const tell = (line: string): void => console.log(`  FAILED: ${line}`);
  const counts = await flipMany(place, { flips, random: randomOf(seed), tell });
  for (const [outcome, count] of counts) console.log(`  ${outcome}: ${count}`);
  tellDone(flips, "flipped bits");
  const wrong = counts.get("WRONG") ?? 0;
  console.log(`${flips - wrong} passed, ${wrong} failed`);
  process.exitCode = wrong > 0 ? 1 : 0;
});
