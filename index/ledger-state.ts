/** The state record of the ledger. Pure. Format: engine/FORMAT.md "Ledger". */
import assert from "node:assert/strict";
import { CacheError } from "./core/errors.js";
import { shownPath } from "./core/own-files.js";
import { CACHE_ID_BYTES, LEDGER_VERSION } from "./core/layout.js";
import { number, pack, readBytes, readNumber, unpack } from "./records.js";

const STATES = ["clean", "opening", "unclean"] as const;
const REGIMES = ["volatile", "recoverable"] as const;
const WHAT = "the ledger";

/** How the last owner left the cache, and what it left. */
export interface StateMark {
  state: "clean" | "opening" | "unclean";
  /** How index commits reached the drive in the session that wrote the mark. */
  regime: "volatile" | "recoverable";
  /** Of the kernel that the session ran on. */
  bootId: string;
  /** Last commit of the index, and the checkpoint that goes with it; they count in a clean mark only. */
  transactionId: number;
  checkpointId: number;
  /** Slots of an earlier session are still being told from its index: whoever finds this probes all of that index. */
  surveying?: boolean;
}

export interface LedgerState {
  cacheId: Buffer;
  epoch: number;
  mark: StateMark;
  /** Fields of a later program that kept the version, kept as they are. */
  extra?: readonly unknown[];
}

export function encodeLedgerState(state: LedgerState): Buffer {
  const { cacheId, epoch, mark, extra = [] } = state;
  assert.equal(cacheId.length, CACHE_ID_BYTES);
  const fields = [
    mark.state,
    mark.regime,
    mark.bootId,
    number(mark.transactionId),
    number(mark.checkpointId),
    ...(mark.surveying === true ? [true] : []),
  ];
  return pack([cacheId, number(epoch), fields, ...extra], LEDGER_VERSION);
}

/**
 * @param value without its checksum; `version` 1 is of before there were any.
 * @throws {CacheError} E_FORMAT_VERSION for a newer ledger; E_INDEX_CORRUPT when it does not read back.
 */
export function decodeLedgerState(
  value: Uint8Array,
  directory: string,
  version: number = LEDGER_VERSION,
): LedgerState {
  // The version comes first and alone, so that it can be told of any ledger that will ever be written.
  const found = value[0] ?? 0;
  if (found > LEDGER_VERSION) {
    throw new CacheError(
      "E_FORMAT_VERSION",
      `Cannot open the ledger in ${shownPath(directory)}: it has version ${found}, this program knows ${LEDGER_VERSION}`,
    );
  }
  const [cacheId, epoch, mark, ...extra] = unpack(WHAT, value, version);
  const [state, regime, bootId, transactionId, checkpointId, surveying] = Array.isArray(mark)
    ? (mark as unknown[])
    : [];
  const id = readBytes(WHAT, cacheId);
  if (id.length !== CACHE_ID_BYTES) throw corrupt(`a cache id of ${id.length} bytes, want ${CACHE_ID_BYTES}`);
  if (typeof bootId !== "string") throw corrupt("no boot id");
  return {
    cacheId: id,
    epoch: readNumber(WHAT, epoch),
    mark: {
      state: oneOf(STATES, state),
      regime: oneOf(REGIMES, regime),
      bootId,
      transactionId: readNumber(WHAT, transactionId),
      checkpointId: readNumber(WHAT, checkpointId),
      ...(surveying === true && { surveying }),
    },
    ...(extra.length > 0 && { extra }),
  };
}

function oneOf<Word extends string>(words: readonly Word[], found: unknown): Word {
  const word = words.find((candidate) => candidate === found);
  if (word === undefined) throw corrupt(`mark ${String(found)}, want ${words.join(" or ")}`);
  return word;
}

function corrupt(found: string): CacheError {
  return new CacheError("E_INDEX_CORRUPT", `Cannot read the ledger: it has ${found}`);
}
