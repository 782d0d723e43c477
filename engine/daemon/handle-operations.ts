/** Operations on volumes and cookies. Format: engine/PROTOCOL.md "Volumes and cookies". */
import { checkFsName } from "../../index/core/names.js";
import { COHERENCY_BYTES_MAX, FS_NAME_BYTES_MAX, NAME_BYTES_MAX } from "../../index/core/layout.js";
import { READ_BYTES_MAX, ZERO_BYTES_MAX } from "../api.js";
import type { AcquireCookieOptions, CookieHandle, FileReadResult, FileWriteResult } from "../api.js";
import { fileHeader } from "./direct-operations.js";
import type { Fields } from "./fields.js";
import { wireRanges } from "./fields.js";
import type { HeaderValue } from "./headers.js";
import { askedBytes } from "./operation.js";
import type { Operation, Reply, Request } from "./operation.js";
import { presentRanges } from "./ranges.js";

const acquireVolume: Operation = {
  payload: false,
  async run({ fields, handles }, { cache }) {
    const fs = checkFsName(fields.bytesCopy("fs", FS_NAME_BYTES_MAX));
    const volume = fields.bytesCopy("volume", NAME_BYTES_MAX);
    const options = coherencyOf(fields);
    const { id, handle } = await handles.addVolume(() => cache.acquireVolume(fs, volume, options));
    return { header: { status: "ok", handle: id, outcome: handle.outcome } };
  },
};

const invalidateVolume: Operation = {
  payload: false,
  async run({ fields, handles }) {
    await handles.volume(handleOf(fields)).invalidate();
    return { header: { status: "ok" } };
  },
};

const relinquishVolume: Operation = {
  payload: false,
  async run({ fields, handles }) {
    const id = handleOf(fields);
    const handle = handles.volume(id);
    const options = { ...coherencyOf(fields), invalidate: fields.flag("invalidate") };
    try {
      await handle.relinquish(options);
    } finally {
      handles.removeVolume(id);
    }
    return { header: { status: "ok" } };
  },
};

const acquireCookie: Operation = {
  payload: false,
  async run({ fields, handles }, { direct }) {
    const inode = fields.bytesCopy("inode", NAME_BYTES_MAX);
    const options = cookieOptionsOf(fields);
    const { id, handle } = await handles.addCookie(handleOf(fields), (volume) =>
      volume.acquireCookie(inode, options),
    );
    const known = fileHeader(fields, direct, handle);
    return {
      header: { status: "ok", handle: id, outcome: handle.outcome, size: handle.sizeBytes, ...known },
    };
  },
};

const read: Operation = {
  payload: false,
  replyBytes: (fields) => askedBytes(fields, 0),
  async run(request, { direct }) {
    const cookie = cookieOf(request);
    const offsetBytes = request.fields.uint63("offset");
    const result = await cookie.read(offsetBytes, request.fields.uint("length", READ_BYTES_MAX));
    const header: Record<string, HeaderValue> = {
      status: "ok",
      length: result.bytes.length,
      missing: wireRanges(result.missing),
      size: cookie.sizeBytes,
      ...fileHeader(request.fields, direct, cookie),
    };
    if (result.bypass !== undefined) header["bypass"] = result.bypass;
    return { header, payload: presentParts(offsetBytes, result) };
  },
};

const write: Operation = {
  payload: true,
  async run(request) {
    const cookie = cookieOf(request);
    return writeReply(cookie, await cookie.write(request.fields.uint63("offset"), request.payload));
  },
};

const zero: Operation = {
  payload: false,
  async run(request) {
    const cookie = cookieOf(request);
    const { fields } = request;
    return writeReply(
      cookie,
      await cookie.zero(fields.uint63("offset"), fields.uint("length", ZERO_BYTES_MAX)),
    );
  },
};

const resize: Operation = {
  payload: false,
  async run(request) {
    const cookie = cookieOf(request);
    await cookie.resize(request.fields.uint63("size"));
    return { header: { status: "ok", size: cookie.sizeBytes } };
  },
};

const invalidateRange: Operation = {
  payload: false,
  async run(request) {
    const { fields } = request;
    await cookieOf(request).invalidateRange(fields.uint63("offset"), fields.uint63("length"));
    return { header: { status: "ok" } };
  },
};

const invalidateCookie: Operation = {
  payload: false,
  async run(request) {
    const cookie = cookieOf(request);
    await cookie.invalidate(cookieOptionsOf(request.fields));
    return { header: { status: "ok", size: cookie.sizeBytes } };
  },
};

const relinquishCookie: Operation = {
  payload: false,
  async run({ fields, handles }) {
    const id = handleOf(fields);
    const handle = handles.cookie(id);
    const options = { ...coherencyOf(fields), retire: fields.flag("retire") };
    try {
      await handle.relinquish(options);
    } finally {
      handles.removeCookie(id);
    }
    return { header: { status: "ok" } };
  },
};

export const HANDLE_OPERATIONS: ReadonlyArray<readonly [string, Operation]> = [
  ["acquireVolume", acquireVolume],
  ["invalidateVolume", invalidateVolume],
  ["relinquishVolume", relinquishVolume],
  ["acquireCookie", acquireCookie],
  ["read", read],
  ["write", write],
  ["zero", zero],
  ["resize", resize],
  ["invalidateRange", invalidateRange],
  ["invalidateCookie", invalidateCookie],
  ["relinquishCookie", relinquishCookie],
];

function writeReply(cookie: CookieHandle, result: FileWriteResult): Reply {
  const header: Record<string, HeaderValue> = {
    status: "ok",
    stored: wireRanges(result.stored),
    size: cookie.sizeBytes,
  };
  if (result.bypass !== undefined) header["bypass"] = result.bypass;
  return { header };
}

/** What is missing is not sent: a miss of 4 MiB would cost more than its fetch from a near origin. */
function presentParts(offsetBytes: bigint, result: FileReadResult): Uint8Array[] {
  return presentRanges(offsetBytes, result.bytes.length, result.missing).map(({ start, end }) =>
    result.bytes.subarray(start, end),
  );
}

function handleOf(fields: Fields): number {
  return fields.uint("handle", Number.MAX_SAFE_INTEGER);
}

function cookieOf({ fields, handles }: Request): CookieHandle {
  return handles.cookie(handleOf(fields));
}

function coherencyOf(fields: Fields): { coherency?: Buffer } {
  return fields.has("coherency") ? { coherency: fields.bytesCopy("coherency", COHERENCY_BYTES_MAX) } : {};
}

function cookieOptionsOf(fields: Fields): AcquireCookieOptions {
  const size = fields.has("size") ? { sizeBytes: fields.uint63("size") } : {};
  return { ...coherencyOf(fields), ...size };
}
