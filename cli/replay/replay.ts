/** Drives a daemon with a recording: the same accesses in the same order, and what came of them beside what came of them then. */
import { type RecordableHistogram, createHistogram } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import type { CookieHandle, Tag, VolumeHandle } from "../../engine/cache.js";
import type { CacheClient } from "../../engine/daemon/client.js";
import {
  TRACE_OUTCOMES,
  type TraceAccess,
  type TraceFile,
  type TraceOutcome,
} from "../../engine/trace/format.js";
import type { TraceReader } from "../../engine/trace/reader.js";
import { SLOT_BYTES } from "../../index/core/layout.js";
import { contentOf, replayedFs } from "./content.js";

/** Handles held for writes of parts of blocks; the oldest goes first. */
const HANDLES_MAX = 256;
const NS_A_MS = 1e6;

export interface ReplayOptions {
  /** 1 keeps the times of the recording, 10 is ten times as fast; absent: each access follows the one before at once. */
  readonly speed?: number;
  /** Accesses under way at a time; those of one block keep their order. */
  readonly jobs: number;
  readonly onProgress?: (done: number) => void;
}

export interface ReplayLatency {
  readonly count: number;
  readonly meanMs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export interface ReplayReport {
  readonly accesses: number;
  readonly seconds: number;
  /** How far behind its time the last access of a timed replay was. */
  readonly lateMs: number;
  readonly recorded: Readonly<Record<TraceOutcome, number>>;
  readonly replayed: Readonly<Record<TraceOutcome, number>>;
  /** Accesses that ended otherwise than recorded: `hit to miss` and so on, with their number. */
  readonly differences: Readonly<Record<string, number>>;
  /** Hits with other bytes than were stored. */
  readonly wrong: number;
  readonly latencies: Readonly<Partial<Record<TraceOutcome, ReplayLatency>>>;
  readonly lost: number;
  readonly droppedBytes: number;
}

/** Replays all of it. What is stored lies under file systems of its own; see forgetReplayed. */
export async function replay(
  client: CacheClient,
  reader: TraceReader,
  options: ReplayOptions,
): Promise<ReplayReport> {
  return new Replay(client, options).run(reader);
}

class Replay {
  readonly #client: CacheClient;
  readonly #options: ReplayOptions;
  readonly #recorded = noCounts();
  readonly #replayed = noCounts();
  readonly #differences = new Map<string, number>();
  readonly #histograms = new Map<TraceOutcome, RecordableHistogram>();
  readonly #fs = new Map<string, ReturnType<typeof replayedFs>>();
  readonly #volumes = new Map<string, VolumeHandle>();
  readonly #handles = new Map<number, CookieHandle>();
  /** The last access of each block that is under way. */
  readonly #blocks = new Map<string, Promise<void>>();
  readonly #running = new Set<Promise<void>>();
  #wrong = 0;
  #done = 0;
  #lateMs = 0;

  constructor(client: CacheClient, options: ReplayOptions) {
    this.#client = client;
    this.#options = options;
  }

  async run(reader: TraceReader): Promise<ReplayReport> {
    const beganMs = performance.now();
    for await (const accesses of reader) {
      for (const access of accesses) {
        await this.#untilDue(access, beganMs);
        while (this.#running.size >= this.#options.jobs) await Promise.race(this.#running);
        this.#begin(access);
      }
      this.#options.onProgress?.(this.#done);
    }
    await Promise.all(this.#running);
    return {
      accesses: this.#done,
      seconds: (performance.now() - beganMs) / 1000,
      lateMs: this.#lateMs,
      recorded: this.#recorded,
      replayed: this.#replayed,
      differences: Object.fromEntries([...this.#differences].toSorted((one, two) => two[1] - one[1])),
      wrong: this.#wrong,
      latencies: Object.fromEntries(
        [...this.#histograms].map(([outcome, times]) => [outcome, latencyOf(times)]),
      ),
      lost: reader.lost,
      droppedBytes: reader.droppedBytes,
    };
  }

  async #untilDue({ atMicros }: TraceAccess, beganMs: number): Promise<void> {
    const { speed } = this.#options;
    if (speed === undefined) return;
    const dueMs = beganMs + atMicros / 1000 / speed;
    const waitMs = dueMs - performance.now();
    // A timer fires up to a millisecond late; what is due within one goes at once.
    if (waitMs >= 1) await sleep(waitMs);
    this.#lateMs = Math.max(0, performance.now() - dueMs);
  }

  #begin(access: TraceAccess): void {
    const key = `${access.file.number} ${access.block}`;
    const before = this.#blocks.get(key);
    const turn = (before ?? Promise.resolve()).then(() => this.#one(access));
    const settled = turn.finally(() => {
      this.#running.delete(settled);
      if (this.#blocks.get(key) === settled) this.#blocks.delete(key);
    });
    this.#blocks.set(key, settled);
    this.#running.add(settled);
    settled.catch(() => undefined); // whoever waits for all of them is told
  }

  async #one(access: TraceAccess): Promise<void> {
    const beganMs = performance.now();
    const write = access.outcome === "stored" || access.outcome === "refused";
    const outcome = write ? await this.#write(access) : await this.#read(access);
    const tookNs = Math.max(1, Math.round((performance.now() - beganMs) * NS_A_MS));
    this.#recorded[access.outcome] += 1;
    this.#replayed[outcome] += 1;
    let times = this.#histograms.get(outcome);
    if (times === undefined) this.#histograms.set(outcome, (times = createHistogram()));
    times.record(tookNs);
    if (outcome !== access.outcome) {
      const what = `${access.outcome} to ${outcome}`;
      this.#differences.set(what, (this.#differences.get(what) ?? 0) + 1);
    }
    this.#done += 1;
  }

  async #read(access: TraceAccess): Promise<TraceOutcome> {
    const { file, block, offsetBytes, lengthBytes } = access;
    const answer = await this.#client.get(this.#tagOf(access), { offsetBytes, lengthBytes });
    if (answer.kind === "hit") {
      const wanted = contentOf(file, block, offsetBytes, answer.bytes.length);
      if (!wanted.equals(answer.bytes)) this.#wrong += 1;
    }
    return answer.kind;
  }

  /** From the start of a block as a whole block; from within it as a part of a file. */
  async #write(access: TraceAccess): Promise<TraceOutcome> {
    const { file, block, offsetBytes, lengthBytes } = access;
    if (lengthBytes === 0) return access.outcome;
    const bytes = contentOf(file, block, offsetBytes, lengthBytes);
    if (offsetBytes === 0) {
      const { kind } = await this.#client.put(this.#tagOf(access), bytes);
      return kind === "stored" ? "stored" : "refused";
    }
    const handle = await this.#handleOf(file);
    const atBytes = BigInt(block) * BigInt(SLOT_BYTES) + BigInt(offsetBytes);
    const endBytes = atBytes + BigInt(lengthBytes);
    if (handle.sizeBytes < endBytes) await handle.resize(endBytes);
    return (await handle.write(atBytes, bytes)).stored.length > 0 ? "stored" : "refused";
  }

  async #handleOf(file: TraceFile): Promise<CookieHandle> {
    const held = this.#handles.get(file.number);
    if (held !== undefined) return held;
    const fs = this.#fsOf(file);
    const name = `${file.fs.toString("base64")} ${file.volume.toString("base64")}`;
    let volume = this.#volumes.get(name);
    if (volume === undefined) {
      volume = await this.#client.acquireVolume(fs, file.volume);
      this.#volumes.set(name, volume);
    }
    const handle = await volume.acquireCookie(file.inode);
    this.#handles.set(file.number, handle);
    if (this.#handles.size > HANDLES_MAX) {
      const [oldest] = this.#handles.entries();
      if (oldest !== undefined) {
        this.#handles.delete(oldest[0]);
        await oldest[1].relinquish();
      }
    }
    return handle;
  }

  #tagOf({ file, block }: TraceAccess): Tag {
    return { fs: this.#fsOf(file), volume: file.volume, inode: file.inode, block };
  }

  #fsOf({ fs }: TraceFile): ReturnType<typeof replayedFs> {
    const key = fs.toString("base64");
    const known = this.#fs.get(key);
    if (known !== undefined) return known;
    const name = replayedFs(fs);
    this.#fs.set(key, name);
    return name;
  }
}

function noCounts(): Record<TraceOutcome, number> {
  return Object.fromEntries(TRACE_OUTCOMES.map((outcome) => [outcome, 0])) as Record<TraceOutcome, number>;
}

function latencyOf(times: RecordableHistogram): ReplayLatency {
  const ms = (ns: number) => Math.round(ns / 1000) / 1000;
  return {
    count: times.count,
    meanMs: ms(times.mean),
    p50Ms: ms(times.percentile(50)),
    p99Ms: ms(times.percentile(99)),
    maxMs: ms(times.max),
  };
}

/** Drops what replays have stored, of whatever recording. @returns how many blocks went. */
export async function forgetReplayed(client: CacheClient): Promise<number> {
  let blocks = 0;
  const names: Buffer[] = [];
  for (let after: Buffer | undefined, more = true; more;) {
    const page = await client.list({ all: true }, after === undefined ? {} : { after });
    names.push(
      ...page.entries.map(({ name }) => name).filter((name) => name.toString("latin1").startsWith("replay:")),
    );
    after = page.entries.at(-1)?.name;
    more = page.more && after !== undefined;
  }
  for (const fs of names) blocks += (await client.flush({ fs })).dropped.blocks;
  return blocks;
}
