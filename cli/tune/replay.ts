/** What policies and sizes would have made of traces: the part of `tune` that needs no daemon. */
import type { PolicyName } from "../../engine/cache.js";
import { type BlockTrace, loadTrace } from "../../engine/tune/block-trace.js";
import { type CurvePoint, evenCapacities, exactCurve, sampledCurve } from "../../engine/tune/curve.js";
import { type Simulation, simulate } from "../../engine/tune/simulate.js";
import { formatBytes, formatCount } from "../../index/core/units.js";
import { inputStatusOf, CliError, lineOf } from "../exit-codes.js";
import { print, printJson } from "../output.js";
import type { Capacity } from "./capacity.js";
import { terminalChart, writeSvg } from "./chart.js";

/** Sampled blocks of a curve at most: a few hundred KiB of memory. */
const SAMPLE_BLOCKS_MAX = 8192;

export interface ReplayOptions {
  readonly files: readonly string[];
  readonly policies: readonly PolicyName[];
  readonly capacities: readonly Capacity[];
  readonly json: boolean;
  /** Miss-ratio curves in place of simulations. */
  readonly curve: boolean;
  /** Part of all blocks that a curve looks at; exact unless given. */
  readonly sampleRate?: number;
  readonly svg?: string;
}

/** What `--json --curve` prints for each trace. */
interface TraceCurve {
  readonly trace: string;
  readonly policy: "lru";
  readonly exact: boolean;
  readonly touches: number;
  readonly uniqueBlocks: number;
  readonly points: readonly CurvePoint[];
}

/** @throws {CliError} 66 for a file that cannot be read; {CacheError} E_TRACE. */
export async function replayTraces(options: ReplayOptions): Promise<void> {
  const simulations: Simulation[] = [];
  const curves: TraceCurve[] = [];
  for (const file of options.files) {
    const trace = await load(file);
    if (options.curve) {
      curves.push(curveOf(trace, options));
      continue;
    }
    const own = simulationsOf(trace, options);
    simulations.push(...own);
    if (!options.json) await printTable(trace, own);
  }
  if (options.json) printJson(options.curve ? curves : simulations);
  else for (const curve of curves) await printCurve(curve);
  if (options.svg !== undefined) {
    await writeSvg(
      options.svg,
      curves.map(({ trace, points }) => ({ name: trace, points })),
    );
  }
}

async function load(file: string): Promise<BlockTrace> {
  try {
    return await loadTrace(file);
  } catch (error) {
    throw new CliError(inputStatusOf(error), lineOf(error), { cause: error });
  }
}

function simulationsOf(trace: BlockTrace, { capacities, policies }: ReplayOptions): Simulation[] {
  return capacities.flatMap(({ blocksOf }) =>
    policies.map((policy) => simulate(trace, policy, blocksOf(trace.uniqueBlocks))),
  );
}

function curveOf(trace: BlockTrace, { sampleRate, capacities }: ReplayOptions): TraceCurve {
  const { name, touches, uniqueBlocks } = trace;
  const named = capacities.map(({ blocksOf }) => blocksOf(uniqueBlocks)).toSorted((a, b) => a - b);
  const sizes = named.length > 0 ? named : evenCapacities(uniqueBlocks);
  const points =
    sampleRate === undefined
      ? exactCurve(trace, sizes)
      : sampledCurve(trace, sizes, { blocksMax: SAMPLE_BLOCKS_MAX, rate: sampleRate });
  const exact = sampleRate === undefined;
  return { trace: name, policy: "lru", exact, touches: touches.length, uniqueBlocks, points };
}

async function printTable(trace: BlockTrace, simulations: readonly Simulation[]): Promise<void> {
  const { default: Table } = await import("cli-table3");
  const { name, touches, repeatTouches, uniqueBlocks } = trace;
  print(
    `${name}: ${formatCount(touches.length)} touches of ${formatCount(uniqueBlocks)} blocks, ` +
      `${formatCount(repeatTouches)} of the block just touched`,
  );
  const table = new Table({
    head: ["blocks", "policy", "hits", "misses", "hit ratio", "without repeats", "fetched"],
    colAligns: ["right", "left", "right", "right", "right", "right", "right"],
    style: { head: [], border: [] },
  });
  for (const one of simulations) {
    table.push([
      formatCount(one.capacityBlocks),
      one.policy,
      formatCount(one.hits),
      formatCount(one.misses),
      percent(one.hitRatio),
      percent(one.hitRatioWithoutRepeats),
      formatBytes(one.fetchedBytes),
    ]);
  }
  print(table.toString());
}

async function printCurve({ trace, points, exact, touches }: TraceCurve): Promise<void> {
  if (process.stdout.isTTY) {
    print(await terminalChart({ name: trace, points }, process.stdout.columns || 80));
    return;
  }
  print(`${trace}: misses of LRU, ${exact ? "exact" : "from a sample"}, of ${formatCount(touches)} touches`);
  for (const { capacityBlocks, missRatio } of points) print(`${capacityBlocks}\t${missRatio.toFixed(6)}`);
}

export function percent(ratio: number): string {
  return `${(ratio * 100).toFixed(2)} %`;
}
