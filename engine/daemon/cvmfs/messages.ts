/**
 * The messages of CVMFS's external cache plugins, as Protocol Buffers of version 2. Fields are named and numbered as
 * clients have them; 64-bit integers come as
 * their two halves. Source: CernVM-FS, cvmfs/cache.proto.
 */
import protobuf from "protobufjs";
import { CacheError, messageOf } from "../../../index/core/errors.js";

const DEFINITIONS = `
syntax = "proto2";
package cvmfs;

message MsgHash { required uint32 algorithm = 1; required bytes digest = 2; }
message MsgListRecord { required MsgHash hash = 1; optional bool pinned = 2; optional string description = 3; }
message MsgBreadcrumb {
  required string fqrn = 1; required MsgHash hash = 2; required uint64 timestamp = 3; optional uint64 revision = 4;
}

message MsgHandshake { required uint32 protocol_version = 1; optional string name = 2; optional uint32 flags = 3; }
message MsgHandshakeAck {
  required uint32 status = 1; required string name = 2; required uint32 protocol_version = 3;
  required uint64 session_id = 4; required uint32 max_object_size = 5; required uint64 capabilities = 6;
  optional uint32 flags = 7; optional uint64 pid = 8;
}
message MsgQuit { required uint64 session_id = 1; }
message MsgIoctl { required uint64 session_id = 1; optional sint32 conncnt_change_by = 2; }
message MsgDetach {}

message MsgRefcountReq {
  required uint64 session_id = 1; required uint64 req_id = 2; required MsgHash object_id = 3; required sint32 change_by = 4;
}
message MsgRefcountReply { required uint64 req_id = 1; required uint32 status = 2; }

message MsgReadReq {
  required uint64 session_id = 1; required uint64 req_id = 2; required MsgHash object_id = 3;
  required uint64 offset = 4; required uint32 size = 5;
}
message MsgReadReply { required uint64 req_id = 1; required uint32 status = 2; optional fixed32 data_crc32 = 3; }

message MsgObjectInfoReq { required uint64 session_id = 1; required uint64 req_id = 2; required MsgHash object_id = 3; }
message MsgObjectInfoReply {
  required uint64 req_id = 1; required uint32 status = 2; optional uint32 object_type = 3; optional uint64 size = 4;
}

message MsgStoreReq {
  required uint64 session_id = 1; required uint64 req_id = 2; required MsgHash object_id = 3; required uint64 part_nr = 4;
  required bool last_part = 5; optional uint64 expected_size = 6; optional uint32 object_type = 7;
  optional string description = 8; optional fixed32 data_crc32 = 9;
}
message MsgStoreAbortReq { required uint64 session_id = 1; required uint64 req_id = 2; required MsgHash object_id = 3; }
message MsgStoreReply { required uint64 req_id = 1; required uint32 status = 2; required uint64 part_nr = 3; }

message MsgInfoReq { required uint64 session_id = 1; required uint64 req_id = 2; optional uint64 no_shrink_in_period = 3; }
message MsgInfoReply {
  required uint64 req_id = 1; required uint32 status = 2; required uint64 size_bytes = 3; required uint64 used_bytes = 4;
  required uint64 pinned_bytes = 5; required int64 no_shrink = 6;
}
message MsgShrinkReq { required uint64 session_id = 1; required uint64 req_id = 2; required uint64 shrink_to = 3; }
message MsgShrinkReply { required uint64 req_id = 1; required uint32 status = 2; required uint64 used_bytes = 3; }
message MsgListReq {
  required uint64 session_id = 1; required uint64 req_id = 2; required uint64 listing_id = 3; required uint32 object_type = 4;
}
message MsgListReply {
  required uint64 req_id = 1; required uint32 status = 2; required uint64 listing_id = 3; required bool is_last_part = 4;
  repeated MsgListRecord list_record = 5;
}

message MsgBreadcrumbStoreReq { required uint64 session_id = 1; required uint64 req_id = 2; required MsgBreadcrumb breadcrumb = 3; }
message MsgBreadcrumbLoadReq { required uint64 session_id = 1; required uint64 req_id = 2; required string fqrn = 3; }
message MsgBreadcrumbReply { required uint64 req_id = 1; required uint32 status = 2; optional MsgBreadcrumb breadcrumb = 3; }

message MsgRpc {
  oneof message_type {
    MsgRefcountReq msg_refcount_req = 1;
    MsgRefcountReply msg_refcount_reply = 2;
    MsgReadReq msg_read_req = 3;
    MsgReadReply msg_read_reply = 4;
    MsgObjectInfoReq msg_object_info_req = 5;
    MsgObjectInfoReply msg_object_info_reply = 6;
    MsgStoreReq msg_store_req = 7;
    MsgStoreAbortReq msg_store_abort_req = 8;
    MsgStoreReply msg_store_reply = 9;
    MsgHandshake msg_handshake = 16;
    MsgHandshakeAck msg_handshake_ack = 17;
    MsgQuit msg_quit = 18;
    MsgInfoReq msg_info_req = 19;
    MsgInfoReply msg_info_reply = 20;
    MsgShrinkReq msg_shrink_req = 21;
    MsgShrinkReply msg_shrink_reply = 22;
    MsgListReq msg_list_req = 23;
    MsgListReply msg_list_reply = 24;
    MsgDetach msg_detach = 25;
    MsgIoctl msg_ioctl = 26;
    MsgBreadcrumbStoreReq msg_breadcrumb_store_req = 27;
    MsgBreadcrumbLoadReq msg_breadcrumb_load_req = 28;
    MsgBreadcrumbReply msg_breadcrumb_reply = 29;
  }
}
`;

/** A 64-bit integer as it comes from a message and goes into one: two 32-bit halves; a number goes in as well. */
export type U64 = { readonly low: number; readonly high: number } | number;

export interface MsgHash {
  readonly algorithm: number;
  readonly digest: Uint8Array;
}

export interface MsgBreadcrumb {
  readonly fqrn: string;
  readonly hash: MsgHash;
  readonly timestamp: U64;
  readonly revision?: U64 | null;
}

interface Asked {
  readonly session_id: U64;
  readonly req_id: U64;
}

interface AskedOfObject extends Asked {
  readonly object_id: MsgHash;
}

/** What a client sends, by the name of its field in MsgRpc. */
export interface Requests {
  readonly msg_handshake: { readonly protocol_version: number; readonly name?: string | null };
  readonly msg_quit: Pick<Asked, "session_id">;
  readonly msg_ioctl: Pick<Asked, "session_id"> & { readonly conncnt_change_by?: number | null };
  readonly msg_refcount_req: AskedOfObject & { readonly change_by: number };
  readonly msg_read_req: AskedOfObject & { readonly offset: U64; readonly size: number };
  readonly msg_object_info_req: AskedOfObject;
  readonly msg_store_req: AskedOfObject & {
    readonly part_nr: U64;
    readonly last_part: boolean;
    readonly expected_size?: U64 | null;
    readonly object_type?: number | null;
    readonly description?: string | null;
    readonly data_crc32?: number | null;
  };
  readonly msg_store_abort_req: AskedOfObject;
  readonly msg_info_req: Asked & { readonly no_shrink_in_period?: U64 | null };
  readonly msg_shrink_req: Asked & { readonly shrink_to: U64 };
  readonly msg_list_req: Asked & { readonly listing_id: U64; readonly object_type: number };
  readonly msg_breadcrumb_store_req: Asked & { readonly breadcrumb: MsgBreadcrumb };
  readonly msg_breadcrumb_load_req: Asked & { readonly fqrn: string };
}

export type RequestName = keyof Requests;
/** One request: its name, and its fields under that name. */
export type Request = {
  readonly [Name in RequestName]: { readonly name: Name; readonly fields: Requests[Name] };
}[RequestName];

export interface MsgListRecord {
  readonly hash: MsgHash;
  readonly pinned: boolean;
  readonly description: string;
}

interface Told {
  readonly req_id: U64;
  readonly status: number;
}

/** What a server sends: one of these. */
export interface Replies {
  readonly msg_handshake_ack: {
    readonly status: number;
    readonly name: string;
    readonly protocol_version: number;
    readonly session_id: number;
    readonly max_object_size: number;
    readonly capabilities: number;
    readonly pid?: number;
  };
  readonly msg_refcount_reply: Told;
  readonly msg_read_reply: Told;
  readonly msg_object_info_reply: Told & { readonly object_type?: number; readonly size?: number };
  readonly msg_store_reply: Told & { readonly part_nr: U64 };
  readonly msg_info_reply: Told & {
    readonly size_bytes: number;
    readonly used_bytes: number;
    readonly pinned_bytes: number;
    readonly no_shrink: number;
  };
  readonly msg_shrink_reply: Told & { readonly used_bytes: number };
  readonly msg_list_reply: Told & {
    readonly listing_id: U64;
    readonly is_last_part: boolean;
    readonly list_record: readonly MsgListRecord[];
  };
  readonly msg_breadcrumb_reply: Told & { readonly breadcrumb?: MsgBreadcrumb };
  readonly msg_detach: Record<never, never>;
}

export type ReplyMessage = Partial<Replies>;

export const ALGORITHMS = { sha1: 1, rmd160: 2, shake128: 3 } as const;
export const OBJECT_TYPES = { regular: 0, catalog: 1, volatile: 2 } as const;

const REQUEST_NAMES: ReadonlySet<string> = new Set<RequestName>([
  "msg_handshake",
  "msg_quit",
  "msg_ioctl",
  "msg_refcount_req",
  "msg_read_req",
  "msg_object_info_req",
  "msg_store_req",
  "msg_store_abort_req",
  "msg_info_req",
  "msg_shrink_req",
  "msg_list_req",
  "msg_breadcrumb_store_req",
  "msg_breadcrumb_load_req",
]);

const rpc = protobuf.parse(DEFINITIONS, { keepCase: true }).root.lookupType("cvmfs.MsgRpc");

/** Any message. What a field lacks that it requires, or that is no protobuf: @throws {CacheError} E_FRAME. */
export function decodeRpc(bytes: Uint8Array): { readonly name: string; readonly fields: unknown } {
  let message: Record<string, unknown>;
  try {
    message = rpc.decode(bytes) as unknown as Record<string, unknown>;
  } catch (cause) {
    throw new CacheError("E_FRAME", `Cannot read a message: ${messageOf(cause)}`, { cause });
  }
  const name = message["message_type"];
  if (typeof name !== "string")
    throw new CacheError("E_FRAME", "Cannot read a message: it is of no known type");
  return { name, fields: message[name] };
}

/** @throws {CacheError} E_FRAME unless a message that clients send. */
export function decodeRequest(bytes: Uint8Array): Request {
  const { name, fields } = decodeRpc(bytes);
  if (!REQUEST_NAMES.has(name))
    throw new CacheError("E_FRAME", `Cannot serve a message: ${name} is none of a client's`);
  return { name, fields } as Request; // its type has checked every field
}

/** One message as it goes into a frame. */
export function encodeRpc(message: Record<string, unknown> | ReplyMessage): Buffer {
  const bytes = rpc.encode(message).finish();
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** An optional field as it was sent: a message that lacks one has its default, which would look like a value. */
export function given<Fields extends object, Name extends keyof Fields>(
  fields: Fields,
  name: Name,
): NonNullable<Fields[Name]> | undefined {
  return Object.hasOwn(fields, name) ? (fields[name] ?? undefined) : undefined;
}

/** The number, if one holds it exactly. */
export function safeNumber(value: U64): number | undefined {
  const number = typeof value === "number" ? value : (value.high >>> 0) * 2 ** 32 + (value.low >>> 0);
  return Number.isSafeInteger(number) ? number : undefined;
}

/** Equal for equal numbers. */
export function u64Key(value: U64): number | string {
  return safeNumber(value) ?? toBigInt(value).toString();
}

export function toBigInt(value: U64): bigint {
  if (typeof value === "number") return BigInt(value);
  return (BigInt(value.high >>> 0) << 32n) | BigInt(value.low >>> 0);
}
