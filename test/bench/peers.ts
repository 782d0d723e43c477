/**
 * `make bench-peers`: the bars, and every workload for every store that is there. Writes test/bench/RESULTS.md and its
 * chart; `--json FILE` writes the bars too.
 */
import fs from "node:fs";
import os from "node:os";
import { VERSION } from "../../engine/version.js";
import { type Measured, measureBars } from "./bars.js";
import { type Bench, openBench } from "./bench.js";
import { measureBounded } from "./bounded.js";
import { Clients } from "./clients.js";
import { type ColdResult, measureCold } from "./cold.js";
import { type Place, type StoreName, STORE_NAMES, versionOf } from "./contestants.js";
import { measureReopen } from "./reopen.js";
import { keepsBar, rounded } from "./result.js";
import type { Timings } from "./result.js";
import { type ChartRow, type Table, writeResults } from "./results-file.js";
import { peerModule } from "./stores/peer-modules.js";
import { benchFileSystem } from "./working-set.js";

const CLIENT_COUNTS = [1, 8, 32] as const;
const CLIENT_MS = 500;
const OWN: readonly (StoreName | "library")[] = ["library", "socket"];
const BOUNDED = [...OWN, "raw", "sqlite", "lmdb", "cacache", "redis", "memcached"] as const;
const REOPENED = [...OWN, "sqlite", "lmdb", "redis", "memcached"] as const;
const OURS = /^(library|socket|direct|raw)/;
const CLIENTS: readonly StoreName[] = STORE_NAMES.filter(
  (name) => name !== "direct-unverified" && name !== "raw",
);

/** What peers did not get through, and why. */
const failures: string[] = [];

/** Measures a store. That one of others fails is a result too, and no reason to lose the rest. */
async function tried<T>(name: string, what: string, body: () => Promise<T>): Promise<T | undefined> {
  step(`${what} ${name}`);
  try {
    return await body();
  } catch (error) {
    if (OURS.test(name)) throw error;
    failures.push(`${what} ${name}: ${(error as Error).message}`);
    return undefined;
  }
}

async function main(): Promise<void> {
  const json = process.argv.indexOf("--json");
  const file = json === -1 ? undefined : process.argv[json + 1];
  if (json !== -1 && file === undefined) {
    console.error("bench: --json wants a file");
    process.exit(64);
  }
  step("filling every store");
  const bench = await openBench(STORE_NAMES);
  const tables: Table[] = [];
  let measured: Measured;
  try {
    measured = await measureBars(bench, step);
    tables.push(barTable(measured), ...hitTables(measured), putTable(measured.puts));
    tables.push(await clientTable(bench));
    tables.push(await boundedTable(bench), await reopenTable(bench));
    if (benchFileSystem() !== "tmpfs") {
      step("cold reads");
      tables.push(coldTable(await measureCold()));
    }
  } finally {
    await bench.close();
  }
  writeResults(headOf([...bench.missing, ...failures]), tables, chartOf(measured));
  if (file !== undefined) fs.writeFileSync(file, `${JSON.stringify(measured.results, undefined, 2)}\n`);
  step("written to test/bench/RESULTS.md");
}

function step(what: string): void {
  console.error(`bench-peers: ${new Date().toTimeString().slice(0, 8)} ${what}`);
}

function headOf(missing: readonly string[]): string[] {
  const { model = "unknown processor" } = os.cpus()[0] ?? {};
  const npm = (["better-sqlite3", "cacache"] as const).map((name) => {
    const found = peerModule<unknown>(name);
    return typeof found === "string" ? found : `${name} ${found.version}`;
  });
  const servers = ["redis-server", "memcached"].map((name) => versionOf(name) ?? `${name} is not installed`);
  const memory = `${rounded(os.totalmem() / 1024 ** 3)} GiB`;
  return [
    `\`make bench-peers\` on ${new Date().toISOString().slice(0, 10)}: ${os.cpus().length} x ${model}, ${memory}, ${os.type()} ${os.release()}, ${benchFileSystem()},`,
    `load ${rounded(os.loadavg()[0] ?? 0)} at the end; Node ${process.version}, tagcache ${VERSION}, ${[...npm, ...servers].join(", ")}.`,
    "512 MiB of random content in each store, page cache warm; medians of interleaved rounds, in one client process unless",
    "said; servers in processes of their own, over Unix sockets. p99: 99 of 100 operations took no longer.",
    ...missing.map((why) => `Left out: ${why}.`),
  ];
}

function barTable({ results }: Measured): Table {
  const rows = results.map((r) => {
    const wanted = r.bar === undefined ? "" : `${r.atLeast === true ? "≥" : "≤"} ${r.bar}`;
    const kept = r.bar === undefined ? "" : keepsBar(r) ? "yes" : "no";
    return [r.name, r.against, r.unit, r.value, r.floor, r.ratio, wanted, kept, r.raw, r.p99, r.floorP99];
  });
  return {
    title: "Bars",
    text: "Ours, what it is measured against, and their ratio.",
    columns: [
      "name",
      "against",
      "unit",
      "ours",
      "theirs",
      "ratio",
      "bar",
      "kept",
      "ours / raw",
      "p99",
      "their p99",
    ],
    rows,
  };
}

function hitTables({ wholeHits, pageHits, inFlight }: Measured): Table[] {
  const rows = (times: Timings) =>
    [...times].map(
      ([name, { medianUs, p99Us }]) => [name, rounded(medianUs), p99Us && rounded(p99Us)] as const,
    );
  const columns = ["store", "us", "p99"];
  return [
    {
      title: "Hits of 256 KiB",
      text: "One after the other; `floor` is the raw read and its CRC-32.",
      columns,
      rows: rows(wholeHits),
    },
    {
      title: "Hits of 4 KiB",
      text: "At any page of any block. `floor` checks 32 KiB, `page-floor` 4 KiB. memcached and cacache have no ranges: the whole block comes.",
      columns,
      rows: rows(pageHits),
    },
    {
      title: "Hits of 256 KiB in flight",
      text: "`NAME-COUNT`: so many on one connection.",
      columns,
      rows: rows(inFlight.whole),
    },
    { title: "Hits of 4 KiB in flight", text: "The same.", columns, rows: rows(inFlight.pages) },
  ];
}

function putTable(puts: Timings): Table {
  return {
    title: "Puts of 256 KiB",
    text: "`NAME-COUNT`: so many in flight. Through the socket first puts into slots that exist, elsewhere overwrites.",
    columns: ["store", "us", "p99"],
    rows: [...puts].map(([name, { medianUs, p99Us }]) => [name, rounded(medianUs), p99Us && rounded(p99Us)]),
  };
}

async function clientTable({ places }: Bench): Promise<Table> {
  const rows: Array<Array<string | number>> = [];
  for (const name of CLIENTS) {
    const place = places.get(name);
    if (place !== undefined)
      rows.push(...((await tried(name, "clients of", () => clientRows(name, place))) ?? []));
  }
  return {
    title: "Client processes",
    text: "Hits a second of 1, 8 and 32 processes together, each with one in flight, and the median of their p99 in microseconds.",
    columns: ["store", "hit", "1: hits/s", "p99", "8: hits/s", "p99", "32: hits/s", "p99"],
    rows,
  };
}

async function clientRows(name: StoreName, place: Place): Promise<Array<Array<string | number>>> {
  const rows: Array<Array<string | number>> = [];
  const clients = await Clients.start(name, place, Math.max(...CLIENT_COUNTS));
  try {
    for (const workload of ["whole", "page"] as const) {
      const row: Array<string | number> = [name, workload === "whole" ? "256 KiB" : "4 KiB"];
      for (const count of CLIENT_COUNTS) {
        await clients.run(count, { workload, ms: CLIENT_MS / 4 });
        const { operationsPerSecond, p99Us } = await clients.run(count, { workload, ms: CLIENT_MS });
        row.push(Math.round(operationsPerSecond), Math.round(p99Us));
      }
      rows.push(row);
    }
  } finally {
    await clients.stop();
  }
  return rows;
}

async function boundedTable({ set }: Bench): Promise<Table> {
  const rows: Array<Array<string | number | undefined>> = [];
  for (const name of BOUNDED) {
    const found = await tried(name, "a small", () => measureBounded(name, set.content));
    if (found === undefined || typeof found === "string") continue; // named as missing already
    const { evicts, mixUs, mixP99Us, hitRatio, putUs, putP99Us } = found;
    rows.push([name, evicts ? "128 MiB" : "keeps all", mixUs, mixP99Us, hitRatio, putUs, putP99Us]);
  }
  return {
    title: "A cache smaller than what is asked of it",
    text: "90 % reads and 10 % puts of 256 KiB, Zipf 1.0 over 512 MiB; a miss is followed by a put. Then puts of new blocks into the full cache, 8 in flight.",
    columns: ["store", "holds", "mix us", "p99", "hit ratio", "put us", "p99"],
    rows,
  };
}

async function reopenTable({ set }: Bench): Promise<Table> {
  const rows: Array<Array<string | number>> = [];
  for (const name of REOPENED) {
    const found = await tried(name, "reopening", () => measureReopen(name, set.content));
    if (found === undefined || typeof found === "string") continue; // named as missing already
    rows.push([name, found.firstHitMs ?? "nothing is left"]);
  }
  return {
    title: "Reopen",
    text: "From the start after a clean stop with 512 MiB to the first hit, processes included. Redis saves before it stops, and loads all.",
    columns: ["store", "ms"],
    rows,
  };
}

function coldTable(results: readonly ColdResult[]): Table {
  return {
    title: "The event loop while 8 clients read cold data",
    text: "The daemon's own histogram of its lag, pages dropped before. p99 is the bound of its bucket, a power of two.",
    columns: ["after", "p99 ms", "bar ms", "looks", "hits/s"],
    rows: results.map((r) => [r.name, r.lagP99Ms, r.barMs, r.looks, r.hitsPerSecond]),
  };
}

function chartOf({ wholeHits, pageHits }: Measured): ChartRow[] {
  const rows = (workload: string, times: Timings): ChartRow[] =>
    [...times]
      .filter(([name]) => !name.includes("floor") && name !== "raw-checked")
      .map(([store, { medianUs }]) => ({ workload, store, us: rounded(medianUs) }));
  return [...rows("256 KiB", wholeHits), ...rows("4 KiB", pageHits)];
}

await main();
