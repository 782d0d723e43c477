/** `make bench`: under a minute. `--json FILE` writes the results as an array too. */
import fs from "node:fs";
import os from "node:os";
import { putWhileCulling } from "./culling.js";
import { libraryHits, libraryPuts } from "./library.js";
import type { Result } from "./result.js";
import { makeWorkingSet } from "./working-set.js";

const json = process.argv.indexOf("--json");
const file = json === -1 ? undefined : process.argv[json + 1];
if (json !== -1 && file === undefined) {
  console.error("bench: --json wants a file");
  process.exit(64);
}

const results: Result[] = [];
const set = await makeWorkingSet();
try {
  results.push(...(await libraryHits(set)), ...(await libraryPuts(set)), ...(await putWhileCulling(set)));
} finally {
  await set.close();
}

const { model = "unknown processor" } = os.cpus()[0] ?? {};
console.log(
  `Node ${process.version}, ${os.cpus().length} x ${model}; medians of interleaved rounds, 512 MiB of random content`,
);
console.log("floor: the raw file operation and the CRC-32 of the bytes that must be checked;");
console.log("of put-while-culling, a put into a cache with free slots\n");
const columns = ["name", "us", "floor", "ratio", "bar", "raw"];
const rows = results.map((r) => [r.name, r.value, r.floor, r.ratio, r.bar ?? "", r.raw ?? ""].map(String));
for (const row of [columns, ...rows]) {
  console.log(row.map((cell, place) => (place === 0 ? cell.padEnd(22) : cell.padStart(9))).join(""));
}
if (file !== undefined) fs.writeFileSync(file, `${JSON.stringify(results, undefined, 2)}\n`);
