/**
 * A client in a process of its own, perhaps another user's: argv is the socket path. Told `{ get: block, call }` it reads that
 * block and says `got <call>` with whether that went without the daemon; told `{ run }` it reads until its end.
 */
import { type CacheClient, connect } from "../../engine/daemon/client.js";
import { bytesOf, tagOf } from "../support/temp-cache.js";
import { isReadDirect } from "./direct-reads.js";

const [socketPath = ""] = process.argv.slice(2);

let client: CacheClient | undefined;
let queue: Promise<void> = Promise.resolve();

interface Told {
  readonly get?: number;
  readonly call?: number;
  readonly reconnect?: boolean;
  readonly run?: boolean;
}

async function obey({ get, call, reconnect, run }: Told): Promise<void> {
  if (reconnect === true) {
    await client?.close();
    client = undefined;
  }
  client ??= await connect({ socketPath, deadlineMs: 20_000 });
  if (get !== undefined) {
    const direct = await isReadDirect(client, tagOf(get), bytesOf(get, 20_000));
    process.send?.({ said: `got ${call}`, direct });
  }
  if (run === true) {
    process.send?.({ said: "running" });
    for (;;) await client.get(tagOf(0));
  }
}

process.on("message", (told: Told) => {
  queue = queue
    .then(() => obey(told))
    .catch((error: unknown) => {
      const { code } = error as { code?: string };
      process.send?.({ said: "failed", error: `${code}: ${String(error)}` });
    });
});
