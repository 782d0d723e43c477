/** What the daemon's own traffic says of other sizes and policies, for people. */
import type { TuneAdvice } from "../../engine/daemon/client.js";
import { formatBytes, formatCount } from "../../index/core/units.js";
import { print, printFields } from "../output.js";
import { terminalChart } from "./chart.js";

/** Fewer blocks say little. */
const SAMPLED_BLOCKS_MIN = 200;

export async function printAdvice(advice: TuneAdvice): Promise<void> {
  const { policy, capacityBlocks, blockBytes, uses, sampledBlocks, sampleRate, culled, culledUnused } =
    advice;
  const size = (blocks: number): string =>
    `${formatBytes(blocks * blockBytes)} (${formatCount(blocks)} blocks)`;
  const unused = culled === 0 ? "" : ` (${((100 * culledUnused) / culled).toFixed(1)} %)`;
  const few = sampledBlocks < SAMPLED_BLOCKS_MIN ? "; too few yet to rely on" : "";
  const [half, now, double] = advice.sizes;
  printFields([
    ["policy", policy],
    ["capacity", size(capacityBlocks)],
    [
      "watched",
      `${formatCount(uses)} uses, by ${formatCount(sampledBlocks)} blocks, one in ${Math.round(1 / sampleRate)}${few}`,
    ],
    ["misses now", percent(now?.missRatio)],
    ["half the capacity", percent(half?.missRatio)],
    ["double the capacity", percent(double?.missRatio)],
    ["policies", advice.policies.map((one) => `${one.policy} ${percent(one.missRatio)}`).join(", ")],
    ["culled", `${formatCount(culled)}, ${formatCount(culledUnused)} of them never hit${unused}`],
  ]);
  if (process.stdout.isTTY) {
    print(
      await terminalChart(
        { name: "recent traffic", points: advice.curve, blockBytes },
        process.stdout.columns || 80,
      ),
    );
    return;
  }
  print("misses of LRU by size:");
  for (const { capacityBlocks: blocks, missRatio } of advice.curve)
    print(`  ${size(blocks)}  ${percent(missRatio)}`);
}

function percent(missRatio = 1): string {
  return `${(100 * missRatio).toFixed(2)} %`;
}
