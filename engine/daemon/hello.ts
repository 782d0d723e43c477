/** The first words of a connection: versions, who the cache is, what the daemon grants. */
import { CacheError } from "../../index/core/errors.js";
import type { CacheStatus, DirectSource, Publication } from "../api.js";
import { encodePublication, readPublication } from "./direct-codec.js";
import { Fields } from "./fields.js";
import type { Header, HeaderValue } from "./headers.js";
import { wireInteger } from "./headers.js";
import { HEADER_BYTES_MAX, PAYLOAD_BYTES_MAX, PROTOCOL_VERSION_MAX, PROTOCOL_VERSION_MIN } from "./limits.js";
import type { ServerLimits } from "./limits.js";
import type { Reply } from "./operation.js";

/** What the daemon says of itself when a connection begins. */
export interface Hello {
  /** The daemon's release. */
  readonly version: string;
  /** The protocol version spoken on this connection: the highest that both know. */
  readonly protocol: number;
  /** Hexadecimal; the same for as long as the cache's ledger lives. */
  readonly cacheId: string;
  /** The epoch when the connection began. */
  readonly epoch: number;
  readonly limits: HelloLimits;
  /** What clients may read themselves, when the connection began. */
  readonly direct?: Publication;
}

export interface HelloLimits {
  readonly headerBytes: number;
  readonly payloadBytes: number;
  readonly requests: number;
  readonly bytes: number;
  readonly handles: number;
}

/** The header of the frame that begins a connection, but for its id. */
export function helloRequest(): Header {
  return { op: "hello", versionMin: PROTOCOL_VERSION_MIN, versionMax: PROTOCOL_VERSION_MAX };
}

/** @throws {CacheError} E_PROTOCOL_VERSION when the client's range and ours do not meet, E_ARGUMENT when there is none. */
export function checkHello(fields: Fields): void {
  const versionMin = fields.uint("versionMin", 0xffff);
  const versionMax = fields.uint("versionMax", 0xffff);
  if (versionMin > versionMax || versionMin > PROTOCOL_VERSION_MAX || versionMax < PROTOCOL_VERSION_MIN) {
    throw new CacheError(
      "E_PROTOCOL_VERSION",
      `Cannot serve protocol versions ${versionMin} to ${versionMax}: this daemon speaks ${PROTOCOL_VERSION_MIN} to ${PROTOCOL_VERSION_MAX}`,
    );
  }
}

export function helloReply(
  status: CacheStatus,
  server: { readonly version: string; readonly limits: ServerLimits; readonly direct?: DirectSource },
): Reply {
  const publication = server.direct?.publication;
  const { requestsPerConnection, bytesPerConnection, handlesPerConnection } = server.limits;
  return {
    header: {
      status: "ok",
      protocol: PROTOCOL_VERSION_MAX,
      version: server.version,
      cacheId: status.cacheId,
      epoch: wireInteger(status.epoch),
      ...(publication !== undefined && { direct: encodePublication(publication) }),
      limits: {
        headerBytes: HEADER_BYTES_MAX,
        payloadBytes: PAYLOAD_BYTES_MAX,
        requests: requestsPerConnection,
        bytes: bytesPerConnection,
        handles: handlesPerConnection,
      },
    },
  };
}

/** @throws {CacheError} E_FRAME when the reply lacks something, E_PROTOCOL_VERSION when we do not speak what it chose. */
export function readHello(fields: Fields): Hello {
  const protocol = fields.uint("protocol", 0xffff);
  if (protocol < PROTOCOL_VERSION_MIN || protocol > PROTOCOL_VERSION_MAX) {
    throw new CacheError("E_PROTOCOL_VERSION", `Cannot speak protocol version ${protocol} with the daemon`);
  }
  const limits = limitsOf(fields.raw("limits"));
  const direct = readPublication(fields);
  return {
    ...(direct !== undefined && { direct }),
    version: fields.text("version"),
    protocol,
    cacheId: fields.text("cacheId"),
    epoch: fields.uint("epoch", Number.MAX_SAFE_INTEGER),
    limits: {
      headerBytes: limits.uint("headerBytes", 0xffff_ffff),
      payloadBytes: limits.uint("payloadBytes", 0xffff_ffff),
      requests: limits.uint("requests", 0xffff_ffff),
      bytes: limits.uint("bytes", Number.MAX_SAFE_INTEGER),
      handles: limits.uint("handles", 0xffff_ffff),
    },
  };
}

function limitsOf(value: HeaderValue | undefined): Fields {
  if (
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Uint8Array)
  ) {
    return new Fields(value as Header, "E_FRAME");
  }
  throw new CacheError("E_FRAME", "Cannot read a hello: limits is no map");
}
