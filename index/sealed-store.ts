/**
 * A store whose values end in a checksum over table, key and value: LMDB does not check its pages, and a flipped bit in a
 * key or a record would otherwise name the content of another file. What fails its check is E_INDEX_CORRUPT.
 * Format: engine/FORMAT.md "LMDB environments".
 */
import { crc32 } from "@node-rs/crc32";
import { CacheError } from "./core/errors.js";
import type { Store, StoreStats, Write } from "./environment.js";
import type { KeyRange } from "./keys.js";

export const SEAL_BYTES = 4;
const NOTHING = Buffer.alloc(0);

/** What the checksum of a value starts from, so that the record of one table is none of another. */
const TABLE_SEEDS: Readonly<Record<string, number>> = {
  identity: 1,
  volumes: 2,
  objects: 3,
  blocks: 4,
  metadata: 5,
  state: 6,
  pins: 7,
  notes: 8,
};

/** The value as it is stored. */
export function sealed(table: string, key: Uint8Array, value: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafeSlow(value.length + SEAL_BYTES);
  bytes.set(value);
  bytes.writeUInt32LE(sumOf(table, key, value), value.length);
  return bytes;
}

/** The value without its checksum, sharing memory, or undefined if that does not fit. */
export function unsealed(table: string, key: Uint8Array, bytes: Uint8Array): Uint8Array | undefined {
  const length = bytes.length - SEAL_BYTES;
  if (length < 0) return undefined;
  const value = bytes.subarray(0, length);
  const sum =
    ((bytes[length] as number) |
      ((bytes[length + 1] as number) << 8) |
      ((bytes[length + 2] as number) << 16) |
      ((bytes[length + 3] as number) << 24)) >>>
    0;
  return sum === sumOf(table, key, value) ? value : undefined;
}

function sumOf(table: string, key: Uint8Array, value: Uint8Array): number {
  return crc32(value, crc32(key, TABLE_SEEDS[table]));
}

export class SealedStore<TableName extends string> implements Store<TableName> {
  readonly #store: Store<TableName>;

  constructor(store: Store<TableName>) {
    this.#store = store;
  }

  watchDeath(watch: (error: CacheError) => void): void {
    this.#store.watchDeath(watch);
  }

  /** @throws {CacheError} E_INDEX_CORRUPT. */
  get(table: TableName, key: Buffer): Buffer | undefined {
    const bytes = this.#store.get(table, key);
    return bytes === undefined ? undefined : Buffer.from(open(table, key, bytes));
  }

  /** @throws {CacheError} E_INDEX_CORRUPT. */
  peek(table: TableName, key: Buffer): Uint8Array | undefined {
    const bytes = this.#store.peek(table, key);
    return bytes === undefined ? undefined : open(table, key, bytes);
  }

  /** A value that fails its check comes without a byte: no record reads back from that, and the others are not lost. */
  scan(
    table: TableName,
    range: Partial<KeyRange>,
    countMax: number,
    after?: Buffer,
  ): Array<{ key: Buffer; value: Buffer }> {
    return this.#store.scan(table, range, countMax, after).map(({ key, value }) => ({
      key,
      value: unsealed(table, key, value) === undefined ? NOTHING : value.subarray(0, -SEAL_BYTES),
    }));
  }

  commit(writes: ReadonlyArray<Write<TableName>>): Promise<void> {
    return this.#store.commit(writes.map(sealedWrite));
  }

  commitNow(writes: ReadonlyArray<Write<TableName>>): void {
    this.#store.commitNow(writes.map(sealedWrite));
  }

  stats(): StoreStats {
    return this.#store.stats();
  }

  sync(): Promise<void> {
    return this.#store.sync();
  }

  close(): Promise<void> {
    return this.#store.close();
  }
}

function sealedWrite<TableName extends string>(write: Write<TableName>): Write<TableName> {
  const { table, key, value } = write;
  return value === undefined ? write : { table, key, value: sealed(table, key, value) };
}

function open(table: string, key: Uint8Array, bytes: Uint8Array): Uint8Array {
  const value = unsealed(table, key, bytes);
  if (value !== undefined) return value;
  throw new CacheError("E_INDEX_CORRUPT", `Cannot read a record of table ${table}: it fails its checksum`);
}
