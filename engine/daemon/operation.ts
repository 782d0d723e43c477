/** What an operation of the daemon is; operations.ts and handle-operations.ts are the rows of the table. */
import { READ_BYTES_MAX } from "../api.js";
import type { BlockCache, DirectSource, FsckCalls, TraceCalls } from "../api.js";
import type { TuneCalls } from "../tune-api.js";
import type { BufferPool } from "./buffer-pool.js";
import type { ConfigService } from "./config-service.js";
import type { Fields } from "./fields.js";
import type { HandleTable } from "./handles.js";
import type { Header } from "./headers.js";
import type { LeaseTable } from "./lease-table.js";

/** One request, as far as an operation sees it. */
export interface Request {
  readonly fields: Fields;
  /** Empty when the frame has none. Valid until run() settles. */
  readonly payload: Buffer;
  readonly handles: HandleTable;
  readonly leases: LeaseTable;
}

export interface Reply {
  readonly header: Header;
  readonly payload?: readonly Uint8Array[];
  /** Memory of the pool that `payload` lies in; given back when the reply has left. */
  readonly pooled?: Buffer;
  /** Called when the reply has left. */
  readonly onSent?: () => void;
}

export interface OperationServices {
  readonly cache: BlockCache;
  readonly pool: BufferPool;
  readonly onStopRequest: () => void;
  /** Absent when this daemon records no accesses. */
  readonly trace?: TraceCalls;
  /** Absent when this daemon checks nothing. */
  readonly fsck?: FsckCalls;
  /** Absent when clients read nothing themselves. */
  readonly direct?: DirectSource;
  /** Absent when this daemon watches no traffic. */
  readonly tune?: TuneCalls;
  /** Absent when this daemon has no configuration of its own. */
  readonly config?: ConfigService;
}

export interface Operation {
  /** Whether its frames carry a payload; one that comes unasked is refused. */
  readonly payload: boolean;
  /** How many payload bytes its reply may have, for the limits; the header is not checked yet. */
  replyBytes?(fields: Fields): number;
  run(request: Request, services: OperationServices): Promise<Reply>;
}

/** The bytes that a "length" key asks for, as far as it makes sense. */
export function askedBytes(fields: Fields, otherwise: number): number {
  const length = fields.raw("length");
  return typeof length === "number" && length >= 0 ? Math.min(length, READ_BYTES_MAX) : otherwise;
}
