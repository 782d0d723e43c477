/** The status of a cache as a header value, and back with every known field checked. */
import { CacheError } from "../../index/core/errors.js";
import type { CacheStatus } from "../api.js";
import { COUNTS_SHAPE } from "./counts-shape.js";
import type { Header, HeaderValue } from "./headers.js";
import { wireInteger } from "./headers.js";

/** Types of the fields that a status must have. Others pass as they are, so that newer daemons may say more. */
const SHAPE = {
  state: "string",
  pid: "number",
  version: "string",
  uptimeSeconds: "number",
  cacheId: "string",
  epoch: "number",
  invalidation: "number",
  policy: "string",
  directory: "string",
  capacityBytes: "number",
  usedBytes: "number",
  validBytes: "number",
  indexBytes: "number",
  indexBytesMax: "number",
  slots: { total: "number", used: "number", free: "number", quarantined: "number", unknown: "number" },
  slotsMax: "number",
  headroom: { slots: "number", bytes: "number" },
  drive: {
    state: "string",
    totalBytes: "number",
    availableBytes: "number",
    totalInodes: "number",
    availableInodes: "number",
  },
  health: {
    state: "string",
    times: "number",
    errors: "number",
    slots: "number",
    slotsMax: "number",
    windowMs: "number",
    probeEveryMs: "number",
    probesGood: "number",
    probesWanted: "number",
  },
  shares: "list",
  leases: { held: "number", waiting: "number", given: "number" },
  hits: "number",
  misses: "number",
  puts: "number",
  culled: "number",
  notCulled: { inUse: "number", pinned: "number" },
  pins: { count: "number", bytes: "number", bytesMax: "number" },
  writes: {
    slotBytes: "number",
    bytesPerSecondMax: "number",
    bytesPerDayMax: "number",
    dayBytes: "number",
    rejected: "number",
    rejectedBytes: "number",
    firstTime: "number",
  },
  holds: { files: "number", bytes: "number", keptBytes: "number", bytesMax: "number", stagedBytes: "number" },
  corrupt: "number",
  bypassed: {},
  start: { kind: "string", action: "string", ms: "number" },
  trust: {
    onUnclean: "string",
    surveying: "boolean",
    uncheckedBlocks: "number",
    scrub: {
      state: "string",
      blocks: "number",
      bytes: "number",
      corrupt: "number",
      bytesPerSecond: "number",
    },
  },
  ...COUNTS_SHAPE,
} as const;

type Shape = { readonly [key: string]: "string" | "number" | "boolean" | "list" | Shape };

/** Drops what a header cannot hold (undefined), keeps the rest. */
export function encodeStatus(status: CacheStatus): Header {
  return encodeMap(status);
}

/** @throws {CacheError} E_FRAME when a field is absent or of another type. */
export function decodeStatus(value: HeaderValue | undefined): CacheStatus {
  const status = decodeValue(value ?? null);
  checkShape(status, SHAPE, "cache");
  return status as unknown as CacheStatus; // checkShape has seen every field
}

/** Drops what a header cannot hold (undefined), keeps the rest. */
export function encodeMap(map: object): Header {
  const header: Record<string, HeaderValue> = {};
  for (const [key, value] of Object.entries(map) as Array<[string, unknown]>) {
    if (value !== undefined) header[key] = encodeValue(value);
  }
  return header;
}

function encodeValue(value: unknown): HeaderValue {
  if (typeof value === "number") return wireInteger(value);
  if (typeof value === "bigint" || typeof value === "boolean" || typeof value === "string") return value;
  if (value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map(encodeValue);
  return typeof value === "object" && value !== null ? encodeMap(value) : null;
}

/** 64-bit integers become numbers where numbers hold them. */
function decodeValue(value: HeaderValue): HeaderValue {
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return (value as readonly HeaderValue[]).map(decodeValue);
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, decodeValue(inner)]));
}

function checkShape(value: HeaderValue | undefined, shape: Shape, path: string): void {
  if (typeof value !== "object" || value === null || Array.isArray(value) || value instanceof Uint8Array) {
    throw new CacheError("E_FRAME", `Cannot read a status: ${path} is no map`);
  }
  const map = value as Header;
  for (const [key, wanted] of Object.entries(shape)) {
    if (typeof wanted !== "string") checkShape(map[key], wanted, `${path}.${key}`);
    else if (wanted === "list" ? !Array.isArray(map[key]) : typeof map[key] !== wanted) {
      throw new CacheError("E_FRAME", `Cannot read a status: ${path}.${key} is no ${wanted}`);
    }
  }
}
