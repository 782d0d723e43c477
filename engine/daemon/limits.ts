/** The bounds of the wire protocol and of the daemon; PROTOCOL.md "Limits" lists them. */
import assert from "node:assert/strict";
import {
  COHERENCY_BYTES_MAX,
  FS_NAME_BYTES_MAX,
  NAME_BYTES_MAX,
  SLOT_BYTES,
} from "../../index/core/layout.js";
import { READ_BYTES_MAX, WRITE_BYTES_MAX } from "../api.js";

/** Versions of the protocol that this code speaks. */
export const PROTOCOL_VERSION_MIN = 1;
export const PROTOCOL_VERSION_MAX = 1;

/** A frame header beyond this many bytes is refused before it is read. */
export const HEADER_BYTES_MAX = 160 * 1024;
/** A frame payload beyond this many bytes is refused before it is read. */
export const PAYLOAD_BYTES_MAX = 4 * 1024 * 1024;
/** How deeply maps and arrays of a header may be nested. */
export const HEADER_DEPTH_MAX = 8;
/** `sun_path` has 108 bytes with its final zero; Node cuts a longer path without a word. */
export const SOCKET_PATH_BYTES_MAX = 107;
/** What a request is counted as, besides its payload and its reply's: buffers of the runtime, header, bookkeeping. */
export const REQUEST_BYTES = 1024;
/** What every connection is granted whatever others have in flight: a block with its header. */
export const SMALL_REQUEST_BYTES = SLOT_BYTES + 4 * REQUEST_BYTES;
/** Payloads up to this size are copied behind their header: one buffer is written faster than two. */
export const JOINED_PAYLOAD_BYTES_MAX = 4096;

// The longest request: acquireCookie of one client may carry every name part and coherency data in one header.
assert.ok(HEADER_BYTES_MAX >= FS_NAME_BYTES_MAX + 2 * NAME_BYTES_MAX + COHERENCY_BYTES_MAX + 4096);
assert.ok(PAYLOAD_BYTES_MAX >= Math.max(SLOT_BYTES, READ_BYTES_MAX, WRITE_BYTES_MAX));

/** What one server grants; the hello tells it to the client. */
export interface ServerLimits {
  /**
   * Connections at once. At the limit the oldest one that has not said hello gives way, else the one that is idle for longest,
   * if that is long enough, else the newcomer is refused.
   */
  readonly connections: number;
  /** Requests of one connection that are begun and whose replies have not left. Beyond it the daemon stops reading. */
  readonly requestsPerConnection: number;
  /** Payload bytes of such requests and of their replies. Beyond it the daemon stops reading. */
  readonly bytesPerConnection: number;
  /**
   * The same of all connections. Beyond it a connection has one request at a time, and one of more than SMALL_REQUEST_BYTES
   * is refused with E_LIMIT.
   */
  readonly bytes: number;
  /** Volume and cookie handles held by one connection. */
  readonly handlesPerConnection: number;
  /** The same of all connections. Beyond it a connection may still hold so many as are granted to each. */
  readonly handles: number;
  readonly handlesGranted: number;
  /** Fill leases that one connection holds. Beyond it a miss is a plain miss. */
  readonly leasesPerConnection: number;
  /** Requests of one connection that wait for another's fetch. Beyond it nobody waits, and a miss is a plain miss. */
  readonly waitsPerConnection: number;
  /** The same of all connections. */
  readonly waits: number;
  /** A connection that has not said hello by then is closed. */
  readonly helloMs: number;
  /** A connection that takes no bytes of a reply, or sends none of a frame it has begun, for so long is closed. */
  readonly stallMs: number;
  /** A frame that takes so long from its first byte to its last, or a reply that takes so long to be taken, ends the connection. */
  readonly frameMs: number;
  /** At the limit of connections, one that holds nothing and was idle for so long gives way to a newcomer. */
  readonly idleMs: number;
  /** The same of one that holds handles or leases. */
  readonly idleHoldingMs: number;
}

export const SERVER_LIMITS: ServerLimits = {
  connections: 512,
  requestsPerConnection: 256,
  bytesPerConnection: 16 * 1024 * 1024,
  bytes: 256 * 1024 * 1024,
  handlesPerConnection: 16_384,
  handles: 131_072,
  handlesGranted: 64,
  leasesPerConnection: 256,
  waitsPerConnection: 32,
  waits: 512,
  helloMs: 5000,
  stallMs: 10_000,
  frameMs: 60_000,
  idleMs: 10_000,
  idleHoldingMs: 300_000,
};

// Who waits must leave room for the puts that others, or it, wait for.
assert.ok(SERVER_LIMITS.waitsPerConnection * SLOT_BYTES <= SERVER_LIMITS.bytesPerConnection / 2);
assert.ok(SERVER_LIMITS.waits * SLOT_BYTES <= SERVER_LIMITS.bytes / 2);

/** The most that `connections` may be: each needs a descriptor. */
export const CONNECTIONS_MAX = 16_384;

/** The usual limits with two of an operator's choice; those who wait for a fetch still leave room for the puts. */
export function serverLimits(chosen: Pick<ServerLimits, "connections" | "bytes">): ServerLimits {
  const waits = Math.min(SERVER_LIMITS.waits, Math.floor(chosen.bytes / 2 / SLOT_BYTES));
  return { ...SERVER_LIMITS, ...chosen, waits };
}

/** How long a connection that was refused may take to read why. */
export const LINGER_MS = 500;
/** How long close() lets requests finish unless told otherwise. */
export const DRAIN_MS = 2000;
