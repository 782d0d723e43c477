/**
 * A CVMFS client that works until it is killed or told to end: stores, opens, reads and closes objects whose bytes follow
 * from their number, and says what it finds wrong. A daemon that goes away is waited for. `cvmfs-worker LOCATOR SEED`.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { PART, PluginClient, S, hashOf } from "../daemon/cvmfs/plugin-client.js";
import { bytesOf, randomOf } from "../support/temp-cache.js";

const [locator = "", seed = "1"] = process.argv.slice(2);
const OBJECTS = 24;
/** Processor time is left to the others. */
const PAUSE_MS = 3;
const random = randomOf(Number(seed));
let crumbs = 0;
let ends = false;
process.on("message", () => (ends = true));

function say(message: object): void {
  process.send?.(message);
}

const sizes = Array.from(
  { length: OBJECTS },
  (_, number) => Math.floor(((number * number) / 90) * PART) + number,
);
const contents = new Map<number, Buffer>();

function contentOf(number: number): Buffer {
  const content = contents.get(number) ?? bytesOf(number, sizes[number] as number);
  contents.set(number, content);
  return content;
}

async function step(client: PluginClient): Promise<void> {
  const number = Math.floor(random() * OBJECTS);
  const content = contentOf(number);
  const hash = hashOf(content);
  if (random() < 0.1) {
    const timestamp = crumbs + 1;
    if ((await client.storeBreadcrumb(`repo ${seed}`, hash, timestamp)) === S.ok)
      say({ said: "crumb", timestamp });
    crumbs = timestamp;
  }
  const opened = await client.refcount(hash, 1);
  if (opened === S.noEntry) {
    const stored = await client.store(hash, content, { type: number % 3, description: `object ${number}` });
    if (stored !== S.ok && stored !== S.noSpace) throw new Error(`a store ended with ${stored}`);
    if (stored === S.noSpace) return;
  } else if (opened === S.noSpace) return;
  else if (opened !== S.ok) throw new Error(`an open ended with ${opened}`);
  for (let look = 0; look < 4; look += 1) {
    const offset = Math.floor(random() * content.length);
    const { status, data } = await client.read(hash, offset, PART);
    if (status !== S.ok || !data.equals(content.subarray(offset, offset + PART)))
      throw new Error(`object ${number} at ${offset}: ${status}, ${data.length} bytes`);
  }
  const closed = await client.refcount(hash, -1);
  if (closed !== S.ok) throw new Error(`a close ended with ${closed}`);
}

async function work(): Promise<void> {
  while (!ends) {
    const client = await PluginClient.connect(locator, `worker ${seed}`).catch(() => undefined);
    if (client === undefined) await sleep(5);
    else {
      say({ said: "connected" });
      try {
        for (; !ends; await sleep(PAUSE_MS)) await step(client);
      } catch (error) {
        if (!String(error).includes("the connection was lost")) throw error;
      } finally {
        await client.close();
      }
    }
  }
}

try {
  await work();
  say({ said: "done" });
} catch (error) {
  say({ said: "failed", error: String(error) });
}
process.disconnect();
