/**
 * The soak: a daemon under the load of several client processes at a full cache, an operator beside them, and an end of the
 * daemon now and then, clean or not; every byte that is read is checked against what may be there.
 */
import fs from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { CacheStatus } from "../../engine/cache.js";
import type { CacheClient } from "../../engine/daemon/client.js";
import { fsckDirectory } from "../../engine/fsck/fsck.js";
import { Child } from "../crash/children.js";
import { Daemon } from "../crash/daemons.js";
import { randomOf } from "../support/temp-cache.js";
import { Board } from "./board.js";
import { operate } from "./operator.js";
import type { SessionReport, SoakReport } from "./report.js";
import { SAMPLE_MS, type Sample, flatnessOf, residentOf } from "./samples.js";
import { type Tally, add, countOf, emptyTally } from "./tally.js";

export interface SoakOptions {
  /** An empty directory of its own. */
  readonly place: string;
  readonly seconds: number;
  readonly clients: number;
  readonly sessions: number;
  readonly seed: number;
  /** In MiB: the first at a start, then one of them after another. */
  readonly capacities: readonly number[];
  readonly onProgress: (line: string) => void;
}

/** Each in turn. */
const ENDS = ["SIGTERM", "SIGKILL", "SIGTERM", "SIGKILL"] as const;
const OPERATE_MS = 300;
const DEADLINE_MS = 60_000;
/** Clients of these numbers read everything over the socket. */
const readsDirect = (client: number): boolean => client % 4 !== 3;

export async function soak(options: SoakOptions): Promise<SoakReport> {
  const run = new Soak(options);
  try {
    return await run.run();
  } finally {
    await run.end();
  }
}

class Soak {
  readonly #options: SoakOptions;
  readonly #directory: string;
  readonly #board: Board;
  readonly #random: () => number;
  readonly #tally: Tally = emptyTally();
  readonly #failures: string[] = [];
  readonly #sessions: SessionReport[] = [];
  readonly #clients: Child[] = [];
  readonly #clientSamples: Sample[][] = [];
  #daemon: Daemon;

  constructor(options: SoakOptions) {
    this.#options = options;
    this.#directory = path.join(options.place, "cache");
    this.#board = new Board(options.place);
    this.#random = randomOf(options.seed);
    this.#daemon = this.#startDaemon(0);
  }

  async run(): Promise<SoakReport> {
    const { clients, sessions } = this.#options;
    const beganMs = performance.now();
    await (await this.#daemon.connect(DEADLINE_MS)).close();
    for (let client = 0; client < clients; client += 1) this.#startClient(client);
    for (const client of this.#clients) await client.says("ready");
    for (let session = 0; session < sessions; session += 1) {
      await this.#session(session, session === sessions - 1);
    }
    const figures = await Promise.all(this.#clients.map((client) => client.exit()));
    if (figures.some((status) => status !== 0))
      this.#failures.push(`clients ended with ${figures.join(", ")}`);
    return this.#report(performance.now() - beganMs);
  }

  async end(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.kill()));
    await this.#daemon.end("SIGKILL");
    this.#board.close();
  }

  #startDaemon(session: number): Daemon {
    // So that of the two unclean ends one is verified and one wiped.
    const regime = session % ENDS.length === 1 || session % ENDS.length === 2 ? "verify" : "wipe";
    const args = [
      "--capacity",
      `${this.#options.capacities[0]}MiB`,
      "--on-unclean",
      regime,
      "--log-level",
      "warn",
    ];
    return new Daemon(this.#directory, args);
  }

  #startClient(client: number): void {
    const { place, clients, seed } = this.#options;
    const direct = readsDirect(client) ? "auto" : "off";
    const args = [
      this.#daemon.socketPath,
      place,
      String(client),
      String(clients),
      String(seed + client),
      direct,
    ];
    this.#clients.push(new Child("../soak/client", args));
    this.#clientSamples.push([]);
  }

  /** From a start of the daemon to the next. */
  async #session(session: number, last: boolean): Promise<void> {
    const cache = await this.#daemon.connect(DEADLINE_MS);
    const endMs = performance.now() + (this.#options.seconds * 1000) / this.#options.sessions;
    const samples: Sample[] = [];
    const parts = {
      cache,
      board: this.#board,
      clients: this.#options.clients,
      capacities: this.#options.capacities,
      random: this.#random,
      tally: this.#tally,
      failures: this.#failures,
    };
    let operating = true;
    const operator = (async () => {
      for (; operating; await sleep(OPERATE_MS * this.#random())) await operate(parts);
    })();
    // On a busy machine a short session may be over before anything was done in it.
    while ((performance.now() < endMs || !(await didAll(cache, endMs))) && this.#failures.length === 0) {
      this.#sample(samples);
      await sleep(SAMPLE_MS);
    }
    operating = false;
    await operator;
    const status = await cache.status();
    if (last) await this.#stopClients();
    await cache.close();
    const how = last ? "SIGTERM" : (ENDS[session % ENDS.length] as (typeof ENDS)[number]);
    const exit = await this.#daemon.end(how);
    await this.#ended(session, { samples, status, how, exit });
    if (!last) this.#daemon = this.#startDaemon(session + 1);
  }

  async #stopClients(): Promise<void> {
    for (const client of this.#clients) client.tell({ stop: true });
    for (const client of this.#clients) add(this.#tally, (await client.says("done"))["tally"] as Tally);
  }

  #sample(samples: Sample[]): void {
    if (this.#daemon.ended) {
      this.#failures.push(`the daemon ended by itself: ${this.#daemon.lines.slice(-5).join("; ")}`);
      return;
    }
    samples.push(residentOf(this.#daemon.pid));
    for (const [client, child] of this.#clients.entries()) {
      const sample = child.last("sample") as Sample | undefined;
      if (sample !== undefined) this.#clientSamples[client]?.push(sample);
      const wrong = Number(child.last("wrong") ?? 0);
      if (wrong > 0) this.#failures.push(`client ${client} read ${wrong} wrong pages`);
      if (child.ended)
        this.#failures.push(`client ${client} ended by itself: ${JSON.stringify(child.last("error"))}`);
    }
  }

  async #ended(
    session: number,
    ended: { samples: Sample[]; status: CacheStatus; how: "SIGTERM" | "SIGKILL"; exit: number | null },
  ): Promise<void> {
    const { samples, status, how, exit } = ended;
    let fsck = "not clean, as the daemon was killed";
    if (how === "SIGTERM") {
      const found = await fsckDirectory({ directory: this.#directory, deep: true });
      fsck = found.clean ? "clean" : `${found.found} findings: ${JSON.stringify(found.findings.slice(0, 5))}`;
      if (exit !== 0)
        this.#failures.push(
          `session ${session} ended with ${exit}: ${this.#daemon.lines.slice(-5).join("; ")}`,
        );
      if (!found.clean) this.#failures.push(`fsck after session ${session}: ${fsck}`);
    }
    const flatness = flatnessOf(`daemon, session ${session}`, samples);
    if (flatness.flat === false) this.#failures.push(`${flatness.what}: memory or descriptors grew`);
    const report: SessionReport = {
      session,
      start: `${status.start.kind}, ${status.start.action}`,
      end: how,
      hits: status.hits,
      misses: status.misses,
      directHits: status.counters.directHits,
      culledBlocks: status.culled,
      capacityBytes: status.capacityBytes,
      usedBytes: status.usedBytes,
      fsck,
      flatness,
    };
    this.#sessions.push(report);
    const warned = this.#daemon.lines.length;
    this.#options.onProgress(
      `session ${session}: ${report.start}; ${report.hits} hits (${report.directHits} direct), ${report.misses} misses, ` +
        `${report.culledBlocks} culled, ended by ${how}, fsck ${fsck}, ${warned} warnings`,
    );
  }

  #report(ms: number): SoakReport {
    const clientFlatness = this.#clientSamples.map((samples, client) =>
      flatnessOf(`client ${client}`, samples),
    );
    for (const { what, flat } of clientFlatness) {
      if (flat === false) this.#failures.push(`${what}: memory or descriptors grew`);
    }
    this.#failures.push(...this.#tally.wrong.map((wrong) => `wrong bytes: ${wrong}`));
    const sum = (of: (session: SessionReport) => number): number =>
      this.#sessions.reduce((total, session) => total + of(session), 0);
    const done: ReadonlyArray<readonly [string, number]> = [
      ["direct hits", sum((session) => session.directHits)],
      ["hits", sum((session) => session.hits)],
      ["misses", sum((session) => session.misses)],
      ["culled blocks", sum((session) => session.culledBlocks)],
      ["stores", countOf(this.#tally, /^(put|write|lease) stored/)],
    ];
    // A soak that did nothing shows nothing.
    for (const [what, count] of done) if (count === 0) this.#failures.push(`there were no ${what}`);
    return {
      seconds: ms / 1000,
      seed: this.#options.seed,
      clients: this.#options.clients,
      sessions: this.#sessions,
      clientFlatness,
      tally: this.#tally,
      failures: this.#failures,
    };
  }
}

/** Whether everything that a soak is to have happened in this session, or there was long enough for it. */
async function didAll(cache: CacheClient, endMs: number): Promise<boolean> {
  const { hits, misses, culled, counters } = await cache.status();
  return Math.min(hits, misses, culled, counters.directHits) > 0 || performance.now() > endMs + DEADLINE_MS;
}

/** Runs the body with an empty directory that is removed afterwards. */
export async function withSoakPlace<T>(parent: string, body: (place: string) => Promise<T>): Promise<T> {
  const place = fs.mkdtempSync(path.join(parent, "tagcache-soak-"));
  try {
    return await body(place);
  } finally {
    fs.rmSync(place, { recursive: true, force: true });
  }
}
