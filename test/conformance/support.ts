/** What the parts of the conformance suite share. */
import * as assert from "uvu/assert";
import { isCacheError } from "../../index/core/errors.js";
import type { CacheErrorCode } from "../../index/core/errors.js";
import { SLOT_BYTES } from "../../index/core/layout.js";
import type { BlockCache, ByteRange, CookieHandle, GetResult, Tag } from "../../engine/api.js";

export type Check = (behaviour: string, body: (cache: BlockCache) => Promise<void>) => void;

export const BLOCK = BigInt(SLOT_BYTES);
export const VERSION_1 = Buffer.from("version 1");
export const VERSION_2 = Buffer.from("version 2");

export async function fileOf(
  cache: BlockCache,
  sizeBytes: bigint | number,
  inode = "file",
): Promise<CookieHandle> {
  const volume = await cache.acquireVolume("nfs", "volume");
  return await volume.acquireCookie(inode, { sizeBytes: BigInt(sizeBytes) });
}

/** As reads and writes tell them. */
export function ranges(...pairs: ReadonlyArray<readonly [bigint | number, number]>): ByteRange[] {
  return pairs.map(([offset, lengthBytes]) => ({ offsetBytes: BigInt(offset), lengthBytes }));
}

export function tagOf(block: number, inode = "file"): Tag {
  return { fs: "nfs", volume: "volume", inode, block };
}

/** Bytes that differ by seed and place. */
export function bytesOf(seed: number, lengthBytes: number): Buffer {
  const bytes = Buffer.allocUnsafe(lengthBytes);
  let state = seed * 2_654_435_761 + 1;
  for (let at = 0; at < lengthBytes; at += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

export async function rejects(call: () => Promise<unknown>, code: CacheErrorCode): Promise<void> {
  let outcome: unknown = "no error";
  try {
    await call();
  } catch (error) {
    outcome = error;
  }
  assert.ok(isCacheError(outcome, code), `want ${code}, got ${String(outcome)}`);
}

export function isHit(result: GetResult, wanted: Uint8Array): void {
  assert.is(result.kind, "hit");
  if (result.kind === "hit")
    assert.ok(result.bytes.equals(wanted), "the bytes of a hit are those that were put");
}

export function isStored(result: { kind: string }): void {
  assert.is(result.kind, "stored");
}
