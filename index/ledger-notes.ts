/** Small records that front-ends want kept over every wipe, by file system and name. Format: engine/FORMAT.md "Ledger". */
import { CacheError, isCacheError } from "./core/errors.js";
import { NOTES_MAX } from "./core/layout.js";
import type { Environment, Write } from "./environment.js";
import { noteKey } from "./keys.js";
import { pack, readBytes, unpack } from "./records.js";

const RECORDS_A_SCAN = 256;
const RECORD_VERSION = 1;
const WHAT = "a note of the ledger";

export interface NoteRecord {
  readonly fs: Buffer;
  readonly name: Buffer;
  readonly value: Buffer;
}

type Change = (writes: ReadonlyArray<Write<"notes">>) => Promise<void>;

/** Notes as they are on the drive: a change that is under way does not show. */
export class LedgerNotes {
  readonly #environment: Pick<Environment<"notes">, "get" | "scan">;
  readonly #commit: Change;
  /** Counted when the first one is written: most ledgers have none. */
  #count: number | undefined;

  /** @param commit writes durably, one change after another. */
  constructor(environment: Pick<Environment<"notes">, "get" | "scan">, commit: Change) {
    this.#environment = environment;
    this.#commit = commit;
  }

  /** @throws {CacheError} E_LEDGER_CORRUPT when it does not read back. */
  get({ fs, name }: Pick<NoteRecord, "fs" | "name">): Buffer | undefined {
    try {
      const value = this.#environment.get("notes", noteKey(fs, name));
      return value === undefined ? undefined : decodeNote(value);
    } catch (cause) {
      throw new CacheError("E_LEDGER_CORRUPT", `Cannot read ${WHAT}: it does not read back`, { cause });
    }
  }

  /** Adds a note, or puts it in place of the one of its name; durable once resolved. @throws {CacheError} E_LIMIT; E_IO, in the promise. */
  async put({ fs, name, value }: NoteRecord): Promise<void> {
    const key = noteKey(fs, name);
    this.#count ??= this.check().count;
    const known = this.#environment.get("notes", key) !== undefined;
    if (!known && this.#count >= NOTES_MAX) {
      throw new CacheError(
        "E_LIMIT",
        `Cannot keep a note: there are ${this.#count}, want at most ${NOTES_MAX}`,
      );
    }
    if (!known) this.#count += 1; // may be one too many if two of one name come at once
    await this.#commit([{ table: "notes", key, value: encodeNote(value) }]);
  }

  /** Reads them all. @returns how many there are, and how many of them do not read back. */
  check(): { readonly count: number; readonly damaged: number } {
    let [count, damaged] = [0, 0];
    for (let after: Buffer | undefined; ;) {
      const found = this.#environment.scan("notes", {}, RECORDS_A_SCAN, after);
      count += found.length;
      damaged += found.filter(({ value }) => !readsBack(value)).length;
      if (found.length < RECORDS_A_SCAN) return { count, damaged };
      after = found.at(-1)?.key;
    }
  }
}

/** The value of a note; its names are the key. */
export function encodeNote(value: Buffer): Buffer {
  return pack([value], RECORD_VERSION);
}

function readsBack(record: Buffer): boolean {
  try {
    decodeNote(record);
    return true;
  } catch (error) {
    if (isCacheError(error, "E_INDEX_CORRUPT")) return false;
    throw error;
  }
}

/** @throws {CacheError} E_INDEX_CORRUPT when it does not read back. */
export function decodeNote(record: Buffer): Buffer {
  const [value] = unpack(WHAT, record, RECORD_VERSION);
  return readBytes(WHAT, value);
}
