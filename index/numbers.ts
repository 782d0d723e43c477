/**
 * Numbers that are never given twice, whatever end comes: the index holds how far they are spoken for, ahead of their use.
 * Whoever opens it after an unclean end goes on behind that. Format: engine/FORMAT.md "Numbers".
 */
import type { IndexTable } from "./batch.js";
import type { Store, Write } from "./environment.js";
import { number, pack, readNumber, unpack } from "./records.js";

/** The next number of each kind. */
export interface Numbers {
  readonly sequence: number;
  readonly objectId: number;
  readonly volumeId: number;
}

/**
 * So many are spoken for at a time, and again when half of them are used: far more than can be given before the commit that
 * says so. 48 bits last for 262,144 unclean ends.
 */
export const STRIDES: Numbers = { sequence: 2 ** 30, objectId: 2 ** 26, volumeId: 2 ** 20 };

const WHAT = "the numbers of the index";
const numbersKey = Buffer.from("numbers");

/** All numbers from these on are free; undefined in an index that never spoke for any. @throws {CacheError} E_INDEX_CORRUPT. */
export function readNumbers(store: Store<IndexTable>): Numbers | undefined {
  const value = store.get("identity", numbersKey);
  if (value === undefined) return undefined;
  const [sequence, objectId, volumeId] = unpack(WHAT, value);
  return {
    sequence: readNumber(WHAT, sequence),
    objectId: readNumber(WHAT, objectId),
    volumeId: readNumber(WHAT, volumeId),
  };
}

/** What a commit has to write so that numbers stay spoken for. */
export class NumberReserve {
  #end: Numbers;

  constructor(end: Numbers) {
    this.#end = end;
  }

  /** Undefined while there are plenty. */
  due(next: Numbers): { readonly write: Write<IndexTable>; readonly done: () => void } | undefined {
    const plenty =
      next.sequence + STRIDES.sequence / 2 <= this.#end.sequence &&
      next.objectId + STRIDES.objectId / 2 <= this.#end.objectId &&
      next.volumeId + STRIDES.volumeId / 2 <= this.#end.volumeId;
    if (plenty) return undefined;
    const end = {
      sequence: next.sequence + STRIDES.sequence,
      objectId: next.objectId + STRIDES.objectId,
      volumeId: next.volumeId + STRIDES.volumeId,
    };
    const value = pack([number(end.sequence), number(end.objectId), number(end.volumeId)]);
    return {
      write: { table: "identity", key: numbersKey, value },
      done: () => {
        this.#end = end;
      },
    };
  }
}
