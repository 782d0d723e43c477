/** The requests of a CVMFS client and their answers. */
import { CacheError } from "../../../index/core/errors.js";
import { SLOT_BYTES } from "../../../index/core/layout.js";
import type { GetResult } from "../../api.js";
import { decodeBreadcrumb, encodeBreadcrumb } from "./breadcrumbs.js";
import { OBJECT_PART_BYTES } from "./limits.js";
import { type ReplyMessage, type Request, type Requests, given, safeNumber } from "./messages.js";
import { FS, type ObjectName, isObjectType, objectNameOf } from "./object-names.js";
import type { Session } from "./session.js";
import { STATUS, type Status, statusOfBypass, statusOfError } from "./statuses.js";
import type { PartData } from "./transactions.js";

/** What a client gets; its data lies in memory of the pool, which is to be given back when it has left. */
export interface Answer {
  readonly message: ReplyMessage;
  readonly data?: Buffer;
  readonly pooled?: Buffer;
}

/** Of an answer whose number was not asked for. */
const UNKNOWN = -1;

/** Takes the data over. @throws {CacheError} E_FRAME for a message that has no answer. */
export function answerOf(session: Session, request: Request, data: PartData): Answer | Promise<Answer> {
  const { name, fields } = request;
  if ("req_id" in fields && safeNumber(fields.session_id) !== session.id) {
    if (data.buffer !== undefined) session.parts.pool.give(data.buffer);
    return { message: refusalOf(request, STATUS.forbidden) };
  }
  switch (name) {
    case "msg_refcount_req":
      return { message: { msg_refcount_reply: { req_id: fields.req_id, status: changed(session, fields) } } };
    case "msg_object_info_req":
      return { message: { msg_object_info_reply: objectInfo(session, fields) } };
    case "msg_read_req":
      return read(session, fields);
    case "msg_store_req":
      return store(session, fields, data);
    case "msg_store_abort_req":
      return abort(session, fields);
    case "msg_info_req":
      return info(session, fields);
    case "msg_shrink_req":
      return shrink(session, fields);
    case "msg_list_req":
      return list(session, fields);
    case "msg_breadcrumb_store_req":
      return storeBreadcrumb(session, fields);
    case "msg_breadcrumb_load_req":
      return loadBreadcrumb(session, fields);
    case "msg_handshake":
    case "msg_ioctl":
    case "msg_quit":
      throw new CacheError("E_FRAME", `Cannot answer ${name}: it has no answer`);
  }
}

/** The answer to a request that was not carried out. */
export function refusalOf({ name, fields }: Request, status: Status): ReplyMessage {
  const told = { req_id: "req_id" in fields ? fields.req_id : 0, status };
  switch (name) {
    case "msg_refcount_req":
      return { msg_refcount_reply: told };
    case "msg_object_info_req":
      return { msg_object_info_reply: told };
    case "msg_read_req":
      return { msg_read_reply: told };
    case "msg_store_req":
      return { msg_store_reply: { ...told, part_nr: fields.part_nr } };
    case "msg_store_abort_req":
      return { msg_store_reply: { ...told, part_nr: 0 } };
    case "msg_info_req":
      return {
        msg_info_reply: { ...told, size_bytes: 0, used_bytes: 0, pinned_bytes: 0, no_shrink: UNKNOWN },
      };
    case "msg_shrink_req":
      return { msg_shrink_reply: { ...told, used_bytes: 0 } };
    case "msg_list_req":
      return {
        msg_list_reply: { ...told, listing_id: fields.listing_id, is_last_part: true, list_record: [] },
      };
    case "msg_breadcrumb_store_req":
    case "msg_breadcrumb_load_req":
      return { msg_breadcrumb_reply: told };
    case "msg_handshake":
    case "msg_ioctl":
    case "msg_quit":
      throw new CacheError("E_FRAME", `Cannot answer ${name}: it has no answer`);
  }
}

function changed(session: Session, { object_id: hash, change_by: by }: Requests["msg_refcount_req"]): Status {
  const name = objectNameOf(hash);
  return name === undefined ? STATUS.malformed : session.change(name, by);
}

function objectInfo(
  { parts }: Session,
  { req_id, object_id: hash }: Requests["msg_object_info_req"],
): NonNullable<ReplyMessage["msg_object_info_reply"]> {
  const name = objectNameOf(hash);
  if (name === undefined) return { req_id, status: STATUS.malformed };
  const record = parts.objects.find(name);
  if (record === undefined) return { req_id, status: STATUS.noEntry };
  return { req_id, status: STATUS.ok, object_type: record.type, size: record.sizeBytes };
}

async function read(session: Session, fields: Requests["msg_read_req"]): Promise<Answer> {
  const { req_id, object_id: hash, size } = fields;
  const told = (status: Status): Answer => ({ message: { msg_read_reply: { req_id, status } } });
  const name = objectNameOf(hash);
  if (name === undefined || size > OBJECT_PART_BYTES) return told(STATUS.malformed);
  const record = session.parts.objects.find(name);
  if (record === undefined) return told(STATUS.noEntry);
  const offsetBytes = safeNumber(fields.offset);
  if (offsetBytes === undefined || offsetBytes > record.sizeBytes) return told(STATUS.outOfBounds);
  const lengthBytes = Math.min(size, record.sizeBytes - offsetBytes);
  if (lengthBytes === 0) return told(STATUS.ok);
  const { pool } = session.parts;
  const pooled = pool.take(lengthBytes);
  const data = pooled.subarray(0, lengthBytes);
  const status = await readInto(session, name, offsetBytes, data);
  if (status === STATUS.ok) return { ...told(status), data, pooled };
  pool.give(pooled);
  return told(status);
}

/** One block, or two where the range goes over the end of the first. */
async function readInto(
  { parts }: Session,
  name: ObjectName,
  offsetBytes: number,
  data: Buffer,
): Promise<Status> {
  const block = Math.floor(offsetBytes / SLOT_BYTES);
  const within = offsetBytes % SLOT_BYTES;
  const first = Math.min(data.length, SLOT_BYTES - within);
  const get = (number: number, offset: number, into: Buffer): Promise<GetResult> =>
    parts.cache.get({ ...name, block: number }, { offsetBytes: offset, lengthBytes: into.length, into });
  const rest = data.subarray(first);
  const [one, two] =
    rest.length === 0
      ? [await get(block, within, data)]
      : await Promise.all([get(block, within, data.subarray(0, first)), get(block + 1, 0, rest)]);
  for (const [result, wanted] of [
    [one, first],
    [two, rest.length],
  ] as const) {
    if (result === undefined) continue;
    if (result.kind === "bypass") return statusOfBypass(result.reason);
    if (result.kind === "miss" || result.bytes.length !== wanted) return missing(parts.objects, name);
  }
  return STATUS.ok;
}

/** Of an open object nothing is ever culled: what is not there has failed its checks, or was wiped. */
function missing(objects: Session["parts"]["objects"], name: ObjectName): Status {
  if (!objects.isOpen(name.key)) return STATUS.noEntry;
  objects.noteBroken(name);
  return STATUS.corrupted;
}

async function store(
  { transactions }: Session,
  fields: Requests["msg_store_req"],
  data: PartData,
): Promise<Answer> {
  const { req_id, part_nr } = fields;
  const status = await transactions.store(fields, data);
  return { message: { msg_store_reply: { req_id, status, part_nr } } };
}

async function abort({ transactions }: Session, fields: Requests["msg_store_abort_req"]): Promise<Answer> {
  const { req_id } = fields;
  const status = await transactions.abort(fields).catch(statusOfError);
  return { message: { msg_store_reply: { req_id, status, part_nr: 0 } } };
}

/** What is used is data: that of objects being stored does not count before they are there. */
async function info({ parts }: Session, fields: Requests["msg_info_req"]): Promise<Answer> {
  const { req_id } = fields;
  const period = given(fields, "no_shrink_in_period");
  const { cache, objects, shrinks } = parts;
  const { capacityBytes, validBytes, holds } = await cache.status();
  const used = Math.max(0, validBytes - holds.stagedBytes);
  const seconds = period === undefined ? undefined : safeNumber(period);
  const reply = {
    req_id,
    status: STATUS.ok,
    size_bytes: capacityBytes,
    used_bytes: used,
    pinned_bytes: Math.min(used, objects.bytes),
    no_shrink: seconds === undefined ? UNKNOWN : shrinks.within(seconds),
  };
  return { message: { msg_info_reply: reply } };
}

async function shrink({ parts }: Session, fields: Requests["msg_shrink_req"]): Promise<Answer> {
  const { req_id } = fields;
  const { cache, shrinks } = parts;
  const wanted = safeNumber(fields.shrink_to) ?? Number.MAX_SAFE_INTEGER;
  const staged = (): number => cache.holds.stagedBytes;
  const validBytesMax = Math.min(Number.MAX_SAFE_INTEGER, wanted + staged());
  const { validBytes, blocks } = await cache.evict({ validBytesMax });
  if (blocks > 0) shrinks.note();
  const used = Math.max(0, validBytes - staged());
  const status = used <= wanted ? STATUS.ok : STATUS.partial;
  return { message: { msg_shrink_reply: { req_id, status, used_bytes: used } } };
}

async function list({ listings }: Session, fields: Requests["msg_list_req"]): Promise<Answer> {
  const { req_id, listing_id, object_type: type } = fields;
  const batch = isObjectType(type) ? await listings.next(listing_id, type) : undefined;
  const reply =
    batch === undefined
      ? { req_id, status: STATUS.malformed, listing_id, is_last_part: true, list_record: [] }
      : {
          req_id,
          status: STATUS.ok,
          listing_id: batch.id,
          is_last_part: batch.isLast,
          list_record: batch.records,
        };
  return { message: { msg_list_reply: reply } };
}

async function storeBreadcrumb(
  { parts }: Session,
  fields: Requests["msg_breadcrumb_store_req"],
): Promise<Answer> {
  const { req_id, breadcrumb } = fields;
  const stored = async (): Promise<Status> => {
    if (objectNameOf(breadcrumb.hash) === undefined) return STATUS.malformed;
    await parts.cache.putNote(FS, breadcrumb.fqrn, encodeBreadcrumb(breadcrumb));
    return STATUS.ok;
  };
  return { message: { msg_breadcrumb_reply: { req_id, status: await stored().catch(statusOfError) } } };
}

async function loadBreadcrumb(
  { parts }: Session,
  fields: Requests["msg_breadcrumb_load_req"],
): Promise<Answer> {
  const { req_id, fqrn } = fields;
  try {
    const note = await parts.cache.note(FS, fqrn);
    if (note === undefined) return { message: { msg_breadcrumb_reply: { req_id, status: STATUS.noEntry } } };
    const breadcrumb = decodeBreadcrumb(fqrn, note);
    return { message: { msg_breadcrumb_reply: { req_id, status: STATUS.ok, breadcrumb } } };
  } catch (error) {
    return { message: { msg_breadcrumb_reply: { req_id, status: statusOfError(error) } } };
  }
}
