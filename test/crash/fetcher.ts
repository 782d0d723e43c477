/**
 * A client that wants blocks: `fetcher.js <socket>`. For each number that it is told it asks for that block; with a lease it
 * says `fetching <block>`, and puts when it is told `put`. Then it says `got <block>`, and how.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "../../engine/daemon/client.js";
import { SLOT_BYTES } from "../../index/core/layout.js";
import { contentOf } from "./content.js";

/** What the far origin takes to answer. */
const FETCH_MS = 200;

const [socketPath = ""] = process.argv.slice(2);
const client = await connect({ socketPath, deadlineMs: 20_000 });
let put: () => void = () => undefined;
const mayPut = new Promise<void>((resolve) => (put = resolve));

async function want(block: number): Promise<void> {
  const tag = { fs: "f", volume: "v", inode: "i", block };
  const bytes = contentOf(tag, block, SLOT_BYTES);
  const result = await client.getOrLease(tag, { waitMs: 60_000, leaseMs: 60_000 });
  if (result.kind === "lease") {
    process.send?.({ said: `fetching ${block}` });
    await (block === 0 ? sleep(FETCH_MS) : mayPut);
    await result.lease.put(bytes);
  }
  const right = result.kind !== "hit" || result.bytes.equals(bytes);
  process.send?.({ said: `got ${block}`, kind: result.kind, right });
}

process.on("message", (told: number | "put") => {
  if (told === "put") put();
  // A failure ends this process, which its parent sees.
  else void want(told);
});
process.send?.({ said: "ready" });
