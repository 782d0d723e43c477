/** Writes test/bench/RESULTS.md: what a run measured, between two marks; what stands outside them stays. */
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import { fileURLToPath } from "node:url";
import { PEERS } from "./stores/peer-modules.js";

const FILE = fileURLToPath(new URL("../../../test/bench/RESULTS.md", import.meta.url));
const PICTURE = fileURLToPath(new URL("../../../test/bench/RESULTS.svg", import.meta.url));
const BEGIN = "<!-- written by make bench-peers: begin -->";
const END = "<!-- written by make bench-peers: end -->";

export interface Table {
  readonly title: string;
  readonly text: string;
  readonly columns: readonly string[];
  readonly rows: ReadonlyArray<ReadonlyArray<string | number | undefined>>;
}

/** One bar of the chart. */
export interface ChartRow {
  readonly workload: string;
  readonly store: string;
  readonly us: number;
}

/** @param head lines of the run: date, command, machine, versions. */
export function writeResults(
  head: readonly string[],
  tables: readonly Table[],
  chart: readonly ChartRow[],
): void {
  const drawn = draw(chart);
  const picture = drawn === undefined ? ["![Hits of 256 KiB and of 4 KiB](RESULTS.svg)"] : [drawn];
  const parts = [head.join("\n"), ...picture, ...tables.map(textOf)];
  const written = [BEGIN, ...parts, END].join("\n\n");
  const before = fs.existsSync(FILE) ? fs.readFileSync(FILE, "utf8") : `# Results\n\n${BEGIN}\n${END}\n`;
  const [start, end] = [before.indexOf(BEGIN), before.indexOf(END)];
  if (start === -1 || end < start) throw new Error(`${FILE} lacks its two marks, ${BEGIN} and ${END}`);
  fs.writeFileSync(FILE, before.slice(0, start) + written + before.slice(end + END.length));
}

/** @returns why it could not be drawn. */
function draw(chart: readonly ChartRow[]): string | undefined {
  const input = JSON.stringify(chart);
  const { status, stdout, stderr } = spawnSync(process.execPath, [`${PEERS}chart.mjs`], {
    input,
    encoding: "utf8",
  });
  if (status !== 0) return `The chart could not be drawn: ${stderr.trim().split("\n").at(-1) ?? status}`;
  fs.writeFileSync(PICTURE, stdout);
  return undefined;
}

function textOf({ title, text, columns, rows }: Table): string {
  const cells = [columns, ...rows.map((row) => row.map((cell) => (cell === undefined ? "" : String(cell))))];
  const widths = columns.map((_, place) => Math.max(3, ...cells.map((row) => (row[place] ?? "").length)));
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, place) => (place === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[place] ?? 0))).join(" | ")} |`;
  const rule = `| ${widths.map((width, place) => (place === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`)).join(" | ")} |`;
  const [first = [], ...rest] = cells;
  return [`## ${title}`, "", text, "", line(first), rule, ...rest.map(line)].join("\n");
}
