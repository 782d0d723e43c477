/** Figures as Prometheus reads them: prom-client writes the text, from a registry that lives for one answer. */
import { Counter, Gauge, type Metric, Registry } from "prom-client";
import type { LatencyStatus } from "../api-counts.js";

export type Labels = Readonly<Record<string, string>>;
export type Values = number | ReadonlyArray<readonly [labels: Labels, value: number]>;

export class Exposition {
  readonly #registry = new Registry();

  static readonly contentType = Registry.PROMETHEUS_CONTENT_TYPE;

  /** A sum that only grows; its name ends in _total. Without values there is no metric. */
  counter(name: string, help: string, values: Values): void {
    if (pairs(values).length === 0) return;
    const counter = new Counter({ name, help, labelNames: labelNames(values), registers: [this.#registry] });
    for (const [labels, value] of pairs(values)) counter.inc(labels, value);
  }

  gauge(name: string, help: string, values: Values): void {
    if (pairs(values).length === 0) return;
    const gauge = new Gauge({ name, help, labelNames: labelNames(values), registers: [this.#registry] });
    for (const [labels, value] of pairs(values)) gauge.set(labels, value);
  }

  /** Durations, from milliseconds to the seconds of Prometheus; its name ends in _seconds. */
  histogram(name: string, help: string, series: ReadonlyArray<readonly [Labels, LatencyStatus]>): void {
    const values = series.flatMap(([labels, latency]) => bucketsOf(name, labels, latency));
    const get = () => Promise.resolve({ name, help, type: "histogram", values, aggregator: "sum" });
    // prom-client's own Histogram takes observations only; the registry asks a metric for no more than this.
    this.#registry.registerMetric({ name, help, type: "histogram", get } as unknown as Metric);
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }
}

function pairs(values: Values): ReadonlyArray<readonly [Labels, number]> {
  return typeof values === "number" ? [[{}, values]] : values;
}

function labelNames(values: Values): string[] {
  return Object.keys(pairs(values)[0]?.[0] ?? {});
}

/** Buckets of Prometheus hold all that is not above their bound, not only what is above the last one. */
function bucketsOf(name: string, labels: Labels, latency: LatencyStatus) {
  let sum = 0;
  const buckets = latency.counts.map((count, place) => {
    sum += count;
    const boundMs = latency.boundsMs[place];
    const le = boundMs === undefined ? "+Inf" : String(boundMs / 1000);
    return { metricName: `${name}_bucket`, labels: { ...labels, le }, value: sum };
  });
  return [
    ...buckets,
    { metricName: `${name}_sum`, labels, value: latency.sumMs / 1000 },
    { metricName: `${name}_count`, labels, value: sum },
  ];
}
