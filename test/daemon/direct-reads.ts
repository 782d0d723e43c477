/** Whether a client's reads went over the socket. */
import type { CacheClient } from "../../engine/daemon/client.js";
import type { Tag } from "../../engine/api.js";
import { expectHit } from "../support/temp-cache.js";

/** Hits that the daemon made itself: what clients read and have not told of is in neither number. */
export async function socketHits(client: CacheClient): Promise<number> {
  const { hits, counters } = await client.status();
  return hits - counters.directHits;
}

/** Wants the hit; nobody else may read meanwhile. @returns whether it was read without the daemon. */
export async function isReadDirect(client: CacheClient, tag: Tag, bytes: Uint8Array): Promise<boolean> {
  const before = await socketHits(client);
  expectHit(await client.get(tag), bytes);
  return (await socketHits(client)) === before;
}
