/** Byte ranges of a file over its blocks: what is read, written, known to be zero, cut off and invalidated. */
import { BLOCK_NUMBERS_MAX, SLOT_BYTES } from "../index/core/layout.js";
import type { BypassReason, ByteRange, FileReadResult, FileWriteResult } from "./api.js";
import type { ChangeAnswer } from "./block-changer.js";
import type { Blocks } from "./blocks.js";
import type { Noticed } from "./direct/lookup-format.js";
import { BLOCK_BYTES, type Piece, addRange, bytesBeforeEnd, endOfBlock, piecesOf } from "./file-ranges.js";
import type { Housekeeper } from "./housekeeper.js";
import type { ObjectState } from "./object-states.js";

export interface ContentParts {
  readonly blocks: Blocks;
  readonly housekeeper: Housekeeper;
  /** The next number of the sequence that generations and stamps share, for an invalidation. */
  readonly takeStamp: (noticed: Noticed) => number;
}

/** Reads what is here. Bytes of one moment: if the file is invalidated meanwhile, nothing of it is returned. */
export async function readContent(
  { blocks }: ContentParts,
  state: ObjectState,
  offsetBytes: bigint,
  lengthBytes: number,
): Promise<FileReadResult> {
  const { sizeBytes } = state;
  const length = bytesBeforeEnd(offsetBytes, lengthBytes, sizeBytes);
  if (length === 0) return { bytes: Buffer.alloc(0), missing: [] };
  const bytes = Buffer.allocUnsafe(length);
  const changes = changesOf(state);
  const pieces = piecesOf(offsetBytes, length);
  const answers = await Promise.all(
    pieces.map((piece) => {
      const span = { offsetBytes: piece.within, lengthBytes: piece.lengthBytes };
      const target = bytes.subarray(piece.at, piece.at + piece.lengthBytes);
      return blocks.readParts(state, piece.block, span, endOfBlock(piece.block, sizeBytes), target);
    }),
  );
  if (changes !== changesOf(state)) return allMissing(offsetBytes, length, "stale");
  const missing: ByteRange[] = [];
  let bypass: BypassReason | undefined;
  for (const [place, { gaps, bypass: reason }] of answers.entries()) {
    const piece = pieces[place] as Piece;
    bypass = reason ?? bypass;
    for (const gap of gaps) {
      const at = piece.at + gap.offsetBytes - piece.within;
      bytes.fill(0, at, at + gap.lengthBytes);
      addRange(missing, offsetBytes + BigInt(at), gap.lengthBytes);
    }
  }
  return { bytes, missing, ...(bypass !== undefined && { bypass }) };
}

export function allMissing(offsetBytes: bigint, lengthBytes: number, bypass: BypassReason): FileReadResult {
  const missing = lengthBytes === 0 ? [] : [{ offsetBytes, lengthBytes }];
  return { bytes: Buffer.alloc(lengthBytes), missing, bypass };
}

/** Stores what of the range can be stored; without `bytes` the range is known to be zero. */
export async function writeContent(
  { blocks }: ContentParts,
  state: ObjectState,
  { offsetBytes, lengthBytes }: ByteRange,
  bytes?: Buffer,
): Promise<FileWriteResult> {
  const { sizeBytes } = state;
  const pieces = piecesOf(offsetBytes, bytesBeforeEnd(offsetBytes, lengthBytes, sizeBytes));
  const answers = await Promise.all(
    pieces.map(async (piece): Promise<ChangeAnswer> => {
      const endBytes = endOfBlock(piece.block, sizeBytes);
      const span = { offsetBytes: piece.within, lengthBytes: piece.lengthBytes };
      if (bytes === undefined) return blocks.write(state, piece.block, { span }, endBytes);
      const source = bytes.subarray(piece.at, piece.at + piece.lengthBytes);
      if (piece.within > 0 || piece.lengthBytes < endBytes) {
        return blocks.write(state, piece.block, { span, bytes: source }, endBytes);
      }
      const put = await blocks.store(state, piece.block, source);
      return put.kind === "stored" ? { kind: "done", stored: span } : put;
    }),
  );
  const stored: ByteRange[] = [];
  let bypass: BypassReason | undefined;
  for (const [place, answer] of answers.entries()) {
    const piece = pieces[place] as Piece;
    if (answer.kind === "bypass") bypass = answer.reason;
    else if (answer.stored !== undefined) {
      const at = piece.at + answer.stored.offsetBytes - piece.within;
      addRange(stored, offsetBytes + BigInt(at), answer.stored.lengthBytes);
    }
  }
  return { stored, ...(bypass !== undefined && { bypass }) };
}

/** Forgets what lies in the range, in whole pages; its cost does not grow with the range. Not committed yet. */
export async function forgetRange(
  parts: ContentParts,
  state: ObjectState,
  { offsetBytes, lengthBytes }: { readonly offsetBytes: bigint; readonly lengthBytes: bigint },
): Promise<void> {
  if (lengthBytes === 0n) return;
  state.invalidations += 1;
  const endBytes = offsetBytes + lengthBytes;
  const firstTouched = Number(offsetBytes / BLOCK_BYTES);
  const endTouched = Number((endBytes + BLOCK_BYTES - 1n) / BLOCK_BYTES);
  parts.blocks.life.leases.removedRange(state, firstTouched, endTouched);
  const firstWhole = Number((offsetBytes + BLOCK_BYTES - 1n) / BLOCK_BYTES);
  // Past the end of the file there is nothing to spare.
  const endWhole = endBytes >= state.sizeBytes ? BLOCK_NUMBERS_MAX : Number(endBytes / BLOCK_BYTES);
  if (firstWhole < endWhole) stampBlocks(parts, state, firstWhole, endWhole);
  else parts.takeStamp({ kind: "object", id: state.id });
  const edges = new Set<number>();
  if (firstTouched < firstWhole) edges.add(firstTouched);
  if (endWhole >= firstWhole && BigInt(endWhole) * BLOCK_BYTES < endBytes) edges.add(endWhole);
  await Promise.all(
    [...edges].map(async (block) => {
      const start = BigInt(block) * BLOCK_BYTES;
      const from = offsetBytes > start ? Number(offsetBytes - start) : 0;
      const to = endBytes < start + BLOCK_BYTES ? Number(endBytes - start) : SLOT_BYTES;
      const span = { offsetBytes: from, lengthBytes: to - from };
      if (to > from) await parts.blocks.forget(state, block, span);
    }),
  );
}

/** Cuts what lies past the size. Not committed yet. */
export async function cutContent(parts: ContentParts, state: ObjectState, sizeBytes: bigint): Promise<void> {
  state.invalidations += 1;
  const firstWhole = Number((sizeBytes + BLOCK_BYTES - 1n) / BLOCK_BYTES);
  state.sizeBytes = sizeBytes;
  parts.blocks.life.leases.removedRange(state, Number(sizeBytes / BLOCK_BYTES), BLOCK_NUMBERS_MAX);
  stampBlocks(parts, state, firstWhole, BLOCK_NUMBERS_MAX);
  const within = Number(sizeBytes % BLOCK_BYTES);
  if (within > 0) await parts.blocks.cut(state, Number(sizeBytes / BLOCK_BYTES), within);
}

function stampBlocks(parts: ContentParts, state: ObjectState, firstBlock: number, endBlock: number): void {
  const stamp = parts.takeStamp({ kind: "object", id: state.id });
  const range = { firstBlock, endBlock, stamp };
  state.stampRange(range);
  if (state.recorded) parts.housekeeper.reclaimRange(state, range);
}

/** Another number after everything that takes content of the file away. */
function changesOf(state: ObjectState): number {
  return state.stampMax + state.invalidations;
}
