/** The pins in the ledger: a table of its own, read whole when the ledger is opened. Format: engine/FORMAT.md "Ledger". */
import assert from "node:assert/strict";
import { CacheError } from "./core/errors.js";
import type { Store, Write } from "./environment.js";
import { number, pack, readBytes, readNumber, unpack } from "./records.js";

const RECORDS_A_SCAN = 128;
const KEY_BYTES = 8;
const RECORD_VERSION = 1;
const WHAT = "a pin of the ledger";
const SCOPES = ["volume", "file", "tree"] as const;

export interface PinRecord {
  /** From 1, in the order in which pins were made. */
  readonly id: number;
  readonly fs: Buffer;
  readonly volume: Buffer;
  readonly scope: "volume" | "file" | "tree";
  /** The inode of a file, what inodes begin with in a tree, empty for a volume. */
  readonly name: Buffer;
  /** The content is known to have been all there in this epoch; it may be gone in any later one. */
  readonly epoch: number;
  /** Fields of a later program, kept as they are. */
  readonly extra?: readonly unknown[];
}

type Change = (writes: ReadonlyArray<Write<"pins">>) => Promise<void>;

/** Pins as they are on the drive: a change that is under way does not show. */
export class LedgerPins {
  readonly #commit: Change;
  readonly #records = new Map<number, PinRecord>();

  /** @param commit writes durably, one change after another. @throws {CacheError} E_INDEX_CORRUPT. */
  constructor(store: Pick<Store<"pins">, "scan">, commit: Change) {
    this.#commit = commit;
    for (let after: Buffer | undefined; ;) {
      const found = store.scan("pins", {}, RECORDS_A_SCAN, after);
      for (const { key, value } of found) {
        const record = decodePin(key, value);
        this.#records.set(record.id, record);
      }
      if (found.length < RECORDS_A_SCAN) return;
      after = found.at(-1)?.key;
    }
  }

  /** In the order in which they were made. */
  all(): PinRecord[] {
    return [...this.#records.values()].toSorted((a, b) => a.id - b.id);
  }

  /** Adds a pin, or puts it in place of the one with its id; durable once resolved. @throws {CacheError} E_IO, in the promise. */
  async put(record: PinRecord): Promise<void> {
    await this.#commit([{ table: "pins", key: pinKey(record.id), value: encodePin(record) }]);
    this.#records.set(record.id, record);
  }

  /** Removes pins all together; durable once resolved. @throws {CacheError} E_IO, in the promise. */
  async remove(ids: readonly number[]): Promise<void> {
    if (ids.length === 0) return;
    await this.#commit(ids.map((id) => ({ table: "pins", key: pinKey(id) })));
    for (const id of ids) this.#records.delete(id);
  }
}

function pinKey(id: number): Buffer {
  assert.ok(Number.isSafeInteger(id) && id > 0);
  const key = Buffer.alloc(KEY_BYTES);
  key.writeBigUInt64BE(BigInt(id));
  return key;
}

/** The value of a pin; its id is the key. */
export function encodePin({ fs, volume, scope, name, epoch, extra = [] }: PinRecord): Buffer {
  return pack([fs, volume, SCOPES.indexOf(scope), name, number(epoch), ...extra], RECORD_VERSION);
}

/** @throws {CacheError} E_INDEX_CORRUPT when key or value does not read back. */
export function decodePin(key: Buffer, value: Buffer): PinRecord {
  if (key.length !== KEY_BYTES) throw corrupt(`a key of ${key.length} bytes, want ${KEY_BYTES}`);
  const [fs, volume, scopeCode, name, epoch, ...extra] = unpack(WHAT, value, RECORD_VERSION);
  const scope = SCOPES[readNumber(WHAT, scopeCode)];
  if (scope === undefined) throw corrupt(`scope ${String(scopeCode)}, want 0 to 2`);
  return {
    id: readNumber(WHAT, key.readBigUInt64BE()),
    fs: readBytes(WHAT, fs),
    volume: readBytes(WHAT, volume),
    scope,
    name: readBytes(WHAT, name),
    epoch: readNumber(WHAT, epoch),
    ...(extra.length > 0 && { extra }),
  };
}

function corrupt(found: string): CacheError {
  return new CacheError("E_INDEX_CORRUPT", `Cannot read ${WHAT}: it has ${found}`);
}
