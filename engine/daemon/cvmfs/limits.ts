/** The bounds of the CVMFS front-end. */
import { SLOT_BYTES } from "../../../index/core/layout.js";

/** What a client may read or store at once, and the size of every part of an object but the last. */
export const OBJECT_PART_BYTES = SLOT_BYTES;
/** The protobuf part of a frame: two bytes give its length where data follows, and none is ever near it. */
export const MESSAGE_BYTES_MAX = 65_535;
export const CONNECTIONS_MAX = 512;
/** Requests of one connection whose replies have not left; beyond it the connection is not read. */
export const REQUESTS_MAX = 256;
/** Bytes of such requests and their replies. */
export const REQUEST_BYTES_MAX = 16 * 1024 * 1024;
/** The same of all connections; beyond it each has one request at a time. */
export const ALL_REQUEST_BYTES_MAX = 256 * 1024 * 1024;
/** Objects that one session is storing. */
export const TRANSACTIONS_MAX = 1024;
/** Listings that one session has begun and not read to their end; beyond it the oldest is forgotten. */
export const LISTINGS_MAX = 64;
/** A batch of a listing ends behind so many bytes of records, or files looked at. */
export const LISTING_BYTES_MAX = 1024 * 1024;
export const LISTING_FILES_MAX = 16_384;
/** Of a reply without data, for the sums of bytes in flight. */
export const REPLY_BYTES = 256;
/** Shrinks that are remembered, to tell how many there were in a period. */
export const SHRINKS_MAX = 4096;
/** Open references of a client that said it would reload outlive its connection by so long. */
export const RELOAD_GRACE_MS = 60_000;
/** Clients are asked to let go when open files and pins keep more than this part of the slots from culling. */
export const DETACH_SHARE = 0.7;
/** And again, while that lasts. */
export const DETACH_EVERY_MS = 10_000;
/** The kernel holds it to net.core.somaxconn. */
export const BACKLOG = 1024;
