/** What a direct reader did with blocks since its owner was last told: gathered in a bounded log, sent in one piece. */
import { CacheError } from "../../index/core/errors.js";
import type { Use } from "../direct-api.js";

/** Bytes of one use on the wire: engine/PROTOCOL.md "Direct reads". */
export const USE_BYTES = 28;
/** Uses that one message may carry, and that are kept at most: beyond that the oldest are forgotten. */
export const USES_MAX = 4096;

const TWO_32 = 2 ** 32;

/** A use that is still being counted. */
export interface OpenUse extends Use {
  hits: number;
  bytes: number;
  /** Whether it is in the log: what was told or forgotten is counted no more. */
  logged: boolean;
}

/** Where a reader keeps what it knows of a block, and with it the use under way: a lookup by slot would cost more. */
export interface UseHolder {
  readonly entry: { readonly slot: number };
  use: OpenUse | undefined;
}

export class UseLog {
  /** In the order of first use: the owner is told so often that the order within one message does not matter. */
  #uses: OpenUse[] = [];

  get size(): number {
    return this.#uses.length;
  }

  note(holder: UseHolder, objectId: number, block: number, bytes: number): void {
    const { use } = holder;
    if (use !== undefined && use.logged) {
      use.hits += 1;
      use.bytes += bytes;
      return;
    }
    if (this.#uses.length === USES_MAX) forget(this.#uses.splice(0, USES_MAX / 2));
    const { slot } = holder.entry;
    holder.use = { slot, objectId, block, hits: 1, bytes, logged: true };
    this.#uses.push(holder.use);
  }

  /** Hands over everything, in the order of first use. */
  take(): readonly Use[] {
    const uses = this.#uses;
    this.#uses = [];
    forget(uses);
    return uses;
  }
}

function forget(uses: readonly OpenUse[]): void {
  for (const use of uses) use.logged = false;
}

export function encodeUses(uses: readonly Use[]): Buffer {
  const bytes = Buffer.alloc(uses.length * USE_BYTES);
  for (const [place, { slot, objectId, block, hits, bytes: read }] of uses.entries()) {
    const at = place * USE_BYTES;
    bytes.writeUInt32LE(slot, at);
    bytes.writeUInt32LE(Math.min(hits, TWO_32 - 1), at + 4);
    bytes.writeUIntLE(objectId, at + 8, 6);
    bytes.writeUIntLE(block, at + 14, 6);
    bytes.writeBigUInt64LE(BigInt(read), at + 20);
  }
  return bytes;
}

/** @throws {CacheError} E_ARGUMENT when the bytes are not whole uses, too many, or of more bytes than hits can have. */
export function decodeUses(bytes: Buffer, blockBytesMax: number): Use[] {
  if (bytes.length % USE_BYTES !== 0 || bytes.length > USES_MAX * USE_BYTES) {
    throw new CacheError(
      "E_ARGUMENT",
      `Cannot take ${bytes.length} bytes of uses: want at most ${USES_MAX} times ${USE_BYTES}`,
    );
  }
  return Array.from({ length: bytes.length / USE_BYTES }, (_, place) => {
    const at = place * USE_BYTES;
    const hits = bytes.readUInt32LE(at + 4);
    const read = bytes.readBigUInt64LE(at + 20);
    if (read > BigInt(hits) * BigInt(blockBytesMax)) {
      throw new CacheError("E_ARGUMENT", `Cannot take a use of ${read} bytes in ${hits} hits`);
    }
    return {
      slot: bytes.readUInt32LE(at),
      objectId: bytes.readUIntLE(at + 8, 6),
      block: bytes.readUIntLE(at + 14, 6),
      hits,
      bytes: Number(read),
    };
  });
}
