/** Objects that a session is storing, part by part, each under the number of its request. */
import type { OwnedCache, PutResult } from "../../api.js";
import type { HeldFile, StagedFile } from "../../open-api.js";
import type { BufferPool } from "../buffer-pool.js";
import { OBJECT_PART_BYTES, TRANSACTIONS_MAX } from "./limits.js";
import { OBJECT_TYPES, type Requests, given, safeNumber, u64Key } from "./messages.js";
import {
  type ObjectName,
  type ObjectRecord,
  encodeRecord,
  isObjectType,
  objectNameOf,
  rankOf,
} from "./object-names.js";
import { STATUS, type Status, statusOfBypass, statusOfError } from "./statuses.js";

type StoreFields = Requests["msg_store_req"];

/** Data of one part: memory of the pool, which is given back when it is not needed any more. */
export interface PartData {
  readonly bytes: number;
  /** Absent without data, or where there was more than a part may have. */
  readonly buffer?: Buffer;
}

export interface TransactionParts {
  readonly cache: Pick<OwnedCache, "stage" | "holds">;
  readonly pool: BufferPool;
  /** Whether an object is there, whole. */
  readonly isThere: (name: ObjectName) => boolean;
  /** The session opens an object that is there. */
  readonly open: (name: ObjectName) => Status;
  /** The session has stored an object and has it open. */
  readonly adopt: (name: ObjectName, record: ObjectRecord, file: HeldFile) => void;
  /** More is kept from culling than before. */
  readonly onChange: () => void;
}

interface Transaction {
  readonly name: ObjectName;
  readonly type: number;
  readonly description: string;
  readonly staged: StagedFile;
  nextPart: number;
  bytes: number;
  /** The parts so far. */
  last: Promise<unknown>;
  /** What every further part is told; the data is gone. */
  failed: Status | undefined;
}

export class Transactions {
  readonly #parts: TransactionParts;
  readonly #open = new Map<number | string, Transaction>();
  #closed = false;

  constructor(parts: TransactionParts) {
    this.#parts = parts;
  }

  /** Stores one part; with the last one the object is there, and open for the session. */
  async store(fields: StoreFields, data: PartData): Promise<Status> {
    try {
      const transaction = this.#begin(fields, data);
      if (typeof transaction === "number") return transaction;
      const { last_part: isLast, req_id: id } = fields;
      // Whatever comes of it: no client gives up what it has wanted to commit, and the number may be used again.
      if (isLast) this.#open.delete(u64Key(id));
      if (transaction.failed !== undefined) return transaction.failed;
      const block = transaction.nextPart - 1;
      transaction.nextPart += 1;
      transaction.bytes += data.bytes;
      const done = transaction.last.then(() => this.#part(transaction, block, data, isLast));
      transaction.last = done.catch(() => undefined); // its caller is told
      return await done;
    } catch (error) {
      return statusOfError(error);
    } finally {
      if (data.buffer !== undefined) this.#parts.pool.give(data.buffer);
    }
  }

  /** Forgets an object that is being stored. */
  async abort(fields: Requests["msg_store_abort_req"]): Promise<Status> {
    const key = u64Key(fields.req_id);
    const transaction = this.#open.get(key);
    if (transaction === undefined) return STATUS.malformed;
    this.#open.delete(key);
    await transaction.staged.abandon();
    return STATUS.ok;
  }

  /** The session has ended. Resolves when nothing is left of what it was storing. */
  async close(): Promise<void> {
    this.#closed = true;
    const open = [...this.#open.values()];
    this.#open.clear();
    await Promise.all(open.map(({ staged }) => staged.abandon()));
  }

  /** The transaction that a part belongs to; checks what can be told of the part without it. */
  #begin(fields: StoreFields, data: PartData): Transaction | Status {
    const name = objectNameOf(fields.object_id);
    const part = safeNumber(fields.part_nr);
    const full = data.bytes === OBJECT_PART_BYTES;
    const tooLong = data.bytes > 0 && data.buffer === undefined;
    if (name === undefined || part === undefined || tooLong || (!full && !fields.last_part))
      return STATUS.malformed;
    const key = u64Key(fields.req_id);
    const known = this.#open.get(key);
    if (part !== 1) {
      if (known === undefined || known.name.key !== name.key || part !== known.nextPart)
        return STATUS.malformed;
      return known;
    }
    const type = fields.object_type ?? OBJECT_TYPES.regular;
    if (known !== undefined || !isObjectType(type)) return STATUS.malformed;
    if (this.#open.size >= TRANSACTIONS_MAX) return STATUS.noSpace;
    const { cache } = this.#parts;
    const transaction: Transaction = {
      name,
      type,
      description: fields.description ?? "",
      staged: cache.stage(name, { rank: rankOf(type) }),
      nextPart: 1,
      bytes: 0,
      last: Promise.resolve(),
      failed: undefined,
    };
    this.#open.set(key, transaction);
    if (neverFits(fields, cache.holds.bytesMax)) {
      transaction.last = transaction.staged.abandon();
      transaction.failed = STATUS.noSpace;
    }
    return transaction;
  }

  async #part(transaction: Transaction, block: number, data: PartData, isLast: boolean): Promise<Status> {
    if (transaction.failed !== undefined) return transaction.failed;
    try {
      const put = await this.#put(transaction, block, data);
      if (put !== undefined && put.kind === "bypass")
        return await this.#fail(transaction, statusOfBypass(put.reason));
      return isLast ? await this.#commit(transaction) : STATUS.ok;
    } catch (error) {
      return await this.#fail(transaction, statusOfError(error));
    }
  }

  async #put(
    { staged }: Transaction,
    block: number,
    { buffer, bytes }: PartData,
  ): Promise<PutResult | undefined> {
    if (buffer === undefined) return undefined;
    const put = await staged.put(block, buffer.subarray(0, bytes));
    this.#parts.onChange();
    return put;
  }

  /** Of two that store one object the second one finds it there, and drops what it has. */
  async #commit(transaction: Transaction): Promise<Status> {
    const { isThere, open, adopt } = this.#parts;
    const { name, type, description, bytes, staged } = transaction;
    if (isThere(name)) {
      const status = this.#closed ? STATUS.ioError : open(name);
      await staged.abandon();
      return status;
    }
    const attributes = encodeRecord({ type, description });
    const result = await staged.publish({ sizeBytes: BigInt(bytes), attributes });
    if (result.kind === "bypass") return statusOfBypass(result.reason);
    if (this.#closed) {
      result.file.release(); // nobody is there to close it
      return STATUS.ioError;
    }
    adopt(name, { sizeBytes: bytes, type, description }, result.file);
    return STATUS.ok;
  }

  /** Nothing is left of what was stored; the transaction stays until it is aborted or wants to commit. */
  async #fail(transaction: Transaction, status: Status): Promise<Status> {
    transaction.failed = status;
    await transaction.staged.abandon();
    return status;
  }
}

/** Whether the size that the client expects can't be kept, whatever goes; 2^64 - 1 means that it does not know. */
function neverFits(fields: StoreFields, bytesMax: number): boolean {
  const expected = given(fields, "expected_size");
  const bytes = expected === undefined ? undefined : safeNumber(expected);
  return bytes !== undefined && bytes > bytesMax;
}
