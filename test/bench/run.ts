/** `make bench`: every bar that can be measured with what is installed, under a minute. `--json FILE` writes them too. */
import fs from "node:fs";
import os from "node:os";
import { measureBars } from "./bars.js";
import { openBench } from "./bench.js";
import { cvmfsResults } from "./cvmfs.js";
import { type Result, keepsBar } from "./result.js";

const json = process.argv.indexOf("--json");
const file = json === -1 ? undefined : process.argv[json + 1];
if (json !== -1 && file === undefined) {
  console.error("bench: --json wants a file");
  process.exit(64);
}

const bench = await openBench(["raw", "raw-checked", "socket", "direct", "direct-unverified", "redis"]);
let results: readonly Result[];
try {
  ({ results } = await measureBars(bench, (what) =>
    console.error(`bench: ${what}, after ${process.uptime().toFixed(0)} s`),
  ));
} finally {
  await bench.close();
}
results = [...results, ...(await cvmfsResults())];

const { model = "unknown processor" } = os.cpus()[0] ?? {};
console.log(
  `Node ${process.version}, ${os.cpus().length} x ${model}; medians of interleaved rounds, 512 MiB of random content\n`,
);
const columns = ["name", "us", "floor", "ratio", "bar", "raw", "p99", "against"];
const rows = results.map((r) => {
  const bar =
    r.bar === undefined ? "" : `${r.atLeast === true ? ">=" : "<="} ${r.bar}${keepsBar(r) ? "" : " !"}`;
  return [r.name, r.value, r.floor, r.ratio, bar, r.raw ?? "", r.p99 ?? "", r.against].map(String);
});
const widths = [28, 9, 9, 8, 10, 8, 10];
for (const row of [columns, ...rows]) {
  console.log(
    row
      .map((cell, place) =>
        place === 0 ? cell.padEnd(28) : place === 7 ? `  ${cell}` : cell.padStart(widths[place] ?? 0),
      )
      .join(""),
  );
}
for (const why of bench.missing) console.log(`left out: ${why}`);
if (file !== undefined) fs.writeFileSync(file, `${JSON.stringify(results, undefined, 2)}\n`);
