/**
 * A client under load that keeps count of how late its answers are: `hurried.js <socket> <deadline ms>`. Reads and writes
 * without a pause from `go` on; says `bypassed` at the first bypass, `back` at the first other answer after `look`, and
 * `done` with its counts after `stop`.
 */
import { SLOT_BYTES } from "../../engine/cache.js";
import { connect } from "../../engine/daemon/client.js";

const IN_FLIGHT = 4;
const BLOCKS = 16;

const [socketPath = "", deadlineText = ""] = process.argv.slice(2);
const deadlineMs = Number(deadlineText);
const hurried = await connect({ socketPath, deadlineMs });
const counts = { served: 0, bypassed: {} as Record<string, number>, errors: 0, latestMs: 0, latestRawMs: 0 };
let running = true;
let looking = false;

/**
 * How long this process was ready to run and got no processor so far: a timer of its own is late, and not because
 * this process was computing. That is the machine's doing and not the client's.
 */
const BEAT_MS = 5;
/** Timers are some milliseconds late by their nature; that much is not taken off. */
const BEAT_LATE_MS = 10;
let keptMs = 0;
let beatDueMs = performance.now() + BEAT_MS;
let beatCpu = process.cpuUsage();
function keptWaitingMs(): number {
  const { user, system } = process.cpuUsage(beatCpu);
  const lateMs = performance.now() - beatDueMs;
  return keptMs + (lateMs <= BEAT_LATE_MS ? 0 : Math.max(0, lateMs - (user + system) / 1000));
}
function beat(): void {
  keptMs = keptWaitingMs();
  beatCpu = process.cpuUsage();
  beatDueMs = performance.now() + BEAT_MS;
  setTimeout(beat, BEAT_MS).unref();
}

async function load(worker: number): Promise<void> {
  const bytes = Buffer.alloc(SLOT_BYTES, worker);
  for (let step = 0; running; step += 1) {
    const tag = { fs: "f", volume: `${process.pid}`, inode: `${worker}`, block: step % BLOCKS };
    const beganMs = performance.now();
    const waitedMs = keptWaitingMs();
    const result = step % 3 === 0 ? await hurried.put(tag, bytes) : await hurried.get(tag);
    const tookMs = performance.now() - beganMs;
    counts.latestRawMs = Math.max(counts.latestRawMs, tookMs);
    counts.latestMs = Math.max(counts.latestMs, tookMs - (keptWaitingMs() - waitedMs));
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
