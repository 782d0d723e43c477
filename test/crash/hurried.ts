/**
 * A client under load that keeps count of how late its answers are: `hurried.js <socket> <deadline ms>`. `lateMs` is the
 * most that one came after its deadline, without what the machine held it up from then on; `latestRawMs` the longest of all. Reads and writes
 * without a pause from `go` on; says `bypassed` at the first bypass, `back` at the first other answer after `look`, and
 * `done` with its counts after `stop`.
 */
import { readFileSync } from "node:fs";
import { SLOT_BYTES } from "../../engine/cache.js";
import { connect } from "../../engine/daemon/client.js";

const IN_FLIGHT = 4;
const BLOCKS = 16;

const [socketPath = "", deadlineText = ""] = process.argv.slice(2);
const deadlineMs = Number(deadlineText);
const hurried = await connect({ socketPath, deadlineMs });
const counts = { served: 0, bypassed: {} as Record<string, number>, errors: 0, lateMs: 0, latestRawMs: 0 };
let running = true;
let looking = false;

/**
 * How long this process was ready to run and got no processor so far, or was held in a call: that is the machine's doing
 * and not the client's. The kernel counts the waits of the main thread for a processor. Where a timer of its own is later
 * than those say, and not because this thread was computing, the lateness counts. Other threads' computing is left out of
 * it: this thread may well stand still meanwhile.
 */
const BEAT_MS = 5;
/** Timers are some milliseconds late by their nature; that much is not taken off. */
const BEAT_LATE_MS = 10;
let keptMs = 0;
let beatDueMs = performance.now() + BEAT_MS;
let beatThread = mainThread();

/** A request under way: when it has to be answered, and what was kept waiting at the last beat before that. */
interface Flight {
  readonly dueMs: number;
  keptMs: number;
}
const flights = new Set<Flight>();

function mainThread(): { readonly ranMs: number; readonly waitedMs: number } {
  const [ranNs, waitedNs] = readFileSync("/proc/self/schedstat", "latin1").split(" ");
  return { ranMs: Number(ranNs) / 1e6, waitedMs: Number(waitedNs) / 1e6 };
}

function keptWaitingMs(): number {
  const { ranMs, waitedMs } = mainThread();
  const lateMs = performance.now() - beatDueMs;
  const heldMs = lateMs <= BEAT_LATE_MS ? 0 : lateMs - (ranMs - beatThread.ranMs);
  return keptMs + Math.max(waitedMs - beatThread.waitedMs, heldMs);
}

function beat(): void {
  keptMs = keptWaitingMs();
  beatThread = mainThread();
  const nowMs = performance.now();
  for (const flight of flights) if (nowMs <= flight.dueMs) flight.keptMs = keptMs;
  beatDueMs = nowMs + BEAT_MS;
  setTimeout(beat, BEAT_MS).unref();
}

async function load(worker: number): Promise<void> {
  const bytes = Buffer.alloc(SLOT_BYTES, worker);
  for (let step = 0; running; step += 1) {
    const tag = { fs: "f", volume: `${process.pid}`, inode: `${worker}`, block: step % BLOCKS };
    const beganMs = performance.now();
    const flight = { dueMs: beganMs + deadlineMs, keptMs };
    flights.add(flight);
    const result = step % 3 === 0 ? await hurried.put(tag, bytes) : await hurried.get(tag);
    const endMs = performance.now();
    flights.delete(flight);
    counts.latestRawMs = Math.max(counts.latestRawMs, endMs - beganMs);
    if (endMs > flight.dueMs) {
      const heldMs = keptWaitingMs() - flight.keptMs;
      counts.lateMs = Math.max(counts.lateMs, endMs - flight.dueMs - heldMs);
    }
    if (result.kind === "bypass") {
      if (Object.keys(counts.bypassed).length === 0) process.send?.({ said: "bypassed" });
      counts.bypassed[result.reason] = (counts.bypassed[result.reason] ?? 0) + 1;
    } else {
      counts.served += 1;
      if (looking) process.send?.({ said: "back" });
      looking = false;
    }
  }
}

process.on("message", (told: string) => {
  if (told === "look") looking = true;
  if (told === "stop") running = false;
});
process.send?.({ said: "ready" });
await new Promise<void>((resolve) => process.on("message", (told) => told === "go" && resolve()));
beat();
await Promise.all(Array.from({ length: IN_FLIGHT }, (_, worker) => load(worker)));
await hurried.close();
process.send?.({ said: "done", ...counts });
process.disconnect();
