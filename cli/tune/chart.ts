/** Draws miss-ratio curves: in a terminal, and as SVG. What draws is loaded when it is asked for. */
import { writeFileSync } from "node:fs";
import { messageOf } from "../../index/core/errors.js";
import { formatBytes } from "../../index/core/units.js";
import { SLOT_BYTES } from "../../engine/cache.js";
import { CliError, EXIT } from "../exit-codes.js";

export interface Curve {
  readonly name: string;
  /** What a block takes; 256 KiB unless given. */
  readonly blockBytes?: number;
  readonly points: ReadonlyArray<{ readonly capacityBlocks: number; readonly missRatio: number }>;
}

const ROWS = 12;
const COLUMNS_MAX = 64;
/** Room for the scale at the left. */
const MARGIN_COLUMNS = 12;
const SVG_LIBRARIES = "@observablehq/plot@0.6.17 linkedom@0.18.15";

/** The curve over the size of the cache, from nothing to its largest point, as lines of text. */
export async function terminalChart(
  { name, points, blockBytes = SLOT_BYTES }: Curve,
  columns: number,
): Promise<string> {
  const { default: asciichart } = await import("asciichart");
  const width = Math.max(8, Math.min(COLUMNS_MAX, columns - MARGIN_COLUMNS));
  const last = points.at(-1)?.capacityBlocks ?? 1;
  const series = Array.from(
    { length: width },
    (_, column) => 100 * at(points, (last * column) / (width - 1)),
  );
  const plot = asciichart.plot(series, {
    height: ROWS,
    min: 0,
    max: 100,
    format: (value) => `${value.toFixed(0)} %`.padStart(MARGIN_COLUMNS - 4),
  });
  const end = `${formatBytes(last * blockBytes)}`;
  return `misses of ${name}, LRU\n${plot}\n${" ".repeat(MARGIN_COLUMNS - 3)}0${end.padStart(width - 1)}`;
}

/** The miss ratio at a size between points. */
function at(points: Curve["points"], blocks: number): number {
  let before = { capacityBlocks: 0, missRatio: 1 };
  for (const point of points) {
    if (point.capacityBlocks >= blocks) {
      const part = (blocks - before.capacityBlocks) / (point.capacityBlocks - before.capacityBlocks);
      return before.missRatio + part * (point.missRatio - before.missRatio);
    }
    before = point;
  }
  return before.missRatio;
}

/** Writes all curves into one drawing. @throws {CliError} 69 where the libraries are not installed. */
export async function writeSvg(file: string, curves: readonly Curve[]): Promise<void> {
  const { Plot, document } = await loadPlot();
  const points = curves.flatMap(({ name, points: own }) =>
    own.map(({ capacityBlocks, missRatio }) => ({
      name,
      capacity: (capacityBlocks * SLOT_BYTES) / 1024 ** 3,
      missRatio,
    })),
  );
  const svg = Plot.plot({
    document,
    style: { background: "white" },
    width: 800,
    height: 480,
    grid: true,
    x: { label: "Capacity in GiB" },
    y: { label: "Miss ratio of LRU", domain: [0, 1] },
    color: { scheme: "tableau10" },
    marks: [
      Plot.lineY(points, { x: "capacity", y: "missRatio", stroke: "name" }),
      Plot.text(
        points,
        Plot.selectLast({
          x: "capacity",
          y: "missRatio",
          text: "name",
          z: "name",
          dy: -8,
          textAnchor: "end",
        }),
      ),
    ],
  });
  svg.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  writeFileSync(file, `${svg.outerHTML}\n`);
}

async function loadPlot() {
  try {
    const [Plot, { parseHTML }] = await Promise.all([import("@observablehq/plot"), import("linkedom")]);
    return { Plot, document: parseHTML("<html></html>").document };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ERR_MODULE_NOT_FOUND") throw error;
    throw new CliError(
      EXIT.unavailable,
      `Cannot draw SVG: ${messageOf(error).split("'")[1] ?? "a library"} is not installed; npm install ${SVG_LIBRARIES}`,
    );
  }
}
