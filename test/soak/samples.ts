/** How much memory and how many descriptors a process has, again and again, and whether that stays so. */
import fs from "node:fs";
import { MIB } from "../support/temp-cache.js";

export interface Sample {
  readonly rssAnonBytes: number;
  readonly descriptors: number;
}

/** Of a process that is there. */
export function residentOf(pid: number): Sample {
  const status = fs.readFileSync(`/proc/${pid}/status`, "latin1");
  const kib = Number(/^RssAnon:\s+([0-9]+) kB/m.exec(status)?.[1]);
  return { rssAnonBytes: kib * 1024, descriptors: fs.readdirSync(`/proc/${pid}/fd`).length };
}

/**
 * Flat means of memory: the median of the last quarter is at most that of the second quarter, which is after warm-up, and a fifth, and
 * 24 MiB: the collector leaves the teeth of a saw. Of descriptors, which direct readers let go of with each publication: the most in the
 * last quarter is at most the most before it, and a fifth, and 16.
 */
const GROWTH = 1.2;
const SLACK_BYTES = 24 * MIB;
const SLACK_DESCRIPTORS = 16;
export const SAMPLE_MS = 250;
/** Less than half a minute tells nothing: a process still grows into its work. */
const SAMPLES_MIN = 30_000 / SAMPLE_MS;

export interface Flatness {
  readonly what: string;
  readonly samples: number;
  readonly from: Sample;
  readonly to: Sample;
  readonly most: Sample;
  /** Undefined when there were too few samples to tell. */
  readonly flat: boolean | undefined;
}

export function flatnessOf(what: string, samples: readonly Sample[]): Flatness {
  const quarter = Math.max(1, Math.floor(samples.length / 4));
  const from = medianOf(samples.slice(quarter, 2 * quarter));
  const to = medianOf(samples.slice(-quarter));
  const before = mostOf(samples.slice(0, -quarter));
  const last = mostOf(samples.slice(-quarter));
  const most = mostOf(samples);
  const flat =
    to.rssAnonBytes <= from.rssAnonBytes * GROWTH + SLACK_BYTES &&
    last.descriptors <= before.descriptors * GROWTH + SLACK_DESCRIPTORS;
  return {
    what,
    samples: samples.length,
    from,
    to,
    most,
    flat: samples.length < SAMPLES_MIN ? undefined : flat,
  };
}

function mostOf(samples: readonly Sample[]): Sample {
  return {
    rssAnonBytes: Math.max(0, ...samples.map((sample) => sample.rssAnonBytes)),
    descriptors: Math.max(0, ...samples.map((sample) => sample.descriptors)),
  };
}

function medianOf(samples: readonly Sample[]): Sample {
  const middle = (values: number[]): number =>
    values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
  return {
    rssAnonBytes: middle(samples.map((sample) => sample.rssAnonBytes)),
    descriptors: middle(samples.map((sample) => sample.descriptors)),
  };
}
