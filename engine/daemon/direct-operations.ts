/** Operations for clients that read slot files themselves. Format: engine/PROTOCOL.md "Direct reads". */
import { SLOT_BYTES } from "../../index/core/layout.js";
import type { CookieHandle, DirectSource, Tag } from "../api.js";
import { decodeUses } from "../direct/uses.js";
import { encodePublication, encodeResolution } from "./direct-codec.js";
import type { Fields } from "./fields.js";
import type { Header } from "./headers.js";
import type { Operation } from "./operation.js";

const direct: Operation = {
  payload: false,
  run(_request, services) {
    const publication = services.direct?.republish();
    const named = publication === undefined ? {} : { direct: encodePublication(publication) };
    return Promise.resolve({ header: { status: "ok", ...named } });
  },
};

const uses: Operation = {
  payload: true,
  async run({ payload }, services) {
    const decoded = decodeUses(payload, SLOT_BYTES);
    services.direct?.noteUses(decoded);
    return { header: { status: "ok" } };
  },
};

export const DIRECT_OPERATIONS: ReadonlyArray<readonly [string, Operation]> = [
  ["direct", direct],
  ["uses", uses],
];

/** What the names of a tag mean, for the header of a hit whose request asks for that. */
export function resolutionHeader(fields: Fields, source: DirectSource | undefined, tag: Tag): Header {
  if (source === undefined || !fields.flag("resolve")) return {};
  const resolution = source.resolve(tag.fs, tag.volume, tag.inode, tag.block);
  return resolution === undefined ? {} : { object: encodeResolution(resolution) };
}

/** The same of the file behind a handle; its size stands beside it. */
export function fileHeader(fields: Fields, source: DirectSource | undefined, handle: CookieHandle): Header {
  const resolution =
    source !== undefined && fields.flag("resolve") ? source.resolveHandle(handle) : undefined;
  return resolution === undefined ? {} : { object: encodeResolution(resolution) };
}
