/** A process that writes through the daemon as fast as it can: `writer.js <socket> <number> <puts>`. Says `done` with its counts. */
import { SLOT_BYTES } from "../../engine/cache.js";
import { connect } from "../../engine/daemon/client.js";
import { contentOf } from "./support.js";

const IN_FLIGHT = 4;
const DEADLINE_MS = 10_000;

const [socketPath = "", number = "", puts = ""] = process.argv.slice(2);
const client = await connect({ socketPath, deadlineMs: DEADLINE_MS });
const counts = { stored: 0, bypassed: {} as Record<string, number>, wrong: 0, hits: 0, slowestMs: 0 };
let next = 0;

/** Each block is read back at once: it is there with its bytes, or gone. */
async function write(): Promise<void> {
  for (let step = next; step < Number(puts); step = next) {
    next += 1;
    const tag = { fs: "f", volume: `v${number}`, inode: "i", block: step };
    const bytes = contentOf(tag, step, 1 + ((step * 7919) % SLOT_BYTES));
    const beganMs = performance.now();
    const put = await client.put(tag, bytes);
    counts.slowestMs = Math.max(counts.slowestMs, performance.now() - beganMs);
    if (put.kind === "stored") counts.stored += 1;
    else counts.bypassed[put.reason] = (counts.bypassed[put.reason] ?? 0) + 1;
    const got = await client.get(tag);
    if (got.kind !== "hit") continue;
    counts.hits += 1;
    if (!got.bytes.equals(bytes)) counts.wrong += 1;
  }
}

process.send?.({ said: "ready" });
await new Promise((resolve) => process.once("message", resolve));
await Promise.all(Array.from({ length: IN_FLIGHT }, write));
await client.close();
process.send?.({ said: "done", ...counts });
