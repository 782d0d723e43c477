/** Draws hits of every store as an SVG: rows `{ workload, store, us }` as JSON on stdin, the picture on stdout. */
import { readFileSync } from "node:fs";
import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";

const rows = JSON.parse(readFileSync(0, "utf8"));
const { document } = parseHTML("<!doctype html><html><body></body></html>");
const order = [...new Set(rows.toSorted((a, b) => a.us - b.us).map(({ store }) => store))];
const plot = Plot.plot({
  document,
  width: 760,
  height: 60 + 2 * 24 * order.length,
  marginLeft: 130,
  marginRight: 90,
  x: { type: "log", label: "microseconds a hit, median, logarithmic", grid: true },
  y: { domain: order, label: null },
  fy: { label: null },
  marks: [
    Plot.barX(rows, {
      x1: 0.5,
      x2: "us",
      y: "store",
      fy: "workload",
      fill: ({ store }) => (/^(library|direct|socket)/.test(store) ? "#2a6f97" : "#b8b8b8"),
    }),
    Plot.text(rows, {
      x: "us",
      y: "store",
      fy: "workload",
      text: ({ us }) => us.toFixed(us < 10 ? 1 : 0),
      dx: 4,
      textAnchor: "start",
    }),
  ],
});
plot.setAttribute("xmlns", "http://www.w3.org/2000/svg");
plot.setAttribute("style", "background: white; font-family: system-ui, sans-serif");
process.stdout.write(`${plot.outerHTML}\n`);
