/** Publications and resolutions on the wire: engine/PROTOCOL.md "Direct reads". */
import { CacheError } from "../../index/core/errors.js";
import { BLOCK_NUMBERS_MAX } from "../../index/core/layout.js";
import type { Place, Publication, Resolution, StampedRange } from "../direct-api.js";
import { Fields } from "./fields.js";
import type { Header, HeaderValue } from "./headers.js";
import { wireInteger } from "./headers.js";

const RANGES_MAX = 64;

export function encodePublication({ lookup, slots }: Publication): Header {
  return { lookup: placeHeader(lookup), slots: placeHeader(slots) };
}

function placeHeader({ path, device, inode }: Place): Header {
  return { path, device, inode };
}

/** Undefined where the header names none. @throws {CacheError} E_FRAME when what it names is malformed. */
export function readPublication(fields: Fields): Publication | undefined {
  const direct = fieldsIn(fields, "direct");
  return direct && { lookup: placeOf(direct, "lookup"), slots: placeOf(direct, "slots") };
}

function placeOf(direct: Fields, key: string): Place {
  const place = fieldsIn(direct, key);
  if (place === undefined) throw new CacheError("E_FRAME", `Cannot read a publication: it has no ${key}`);
  return { path: place.text("path"), device: place.uint63("device"), inode: place.uint63("inode") };
}

export function encodeResolution({
  objectId,
  volumeId,
  stamp,
  instance,
  notices,
  ranges,
}: Resolution): Header {
  return {
    id: wireInteger(objectId),
    volume: wireInteger(volumeId),
    stamp: wireInteger(stamp),
    instance,
    notices: wireInteger(notices),
    ...(ranges.length > 0 && {
      ranges: ranges.map((range): HeaderValue => [
        wireInteger(range.firstBlock),
        wireInteger(range.endBlock),
        wireInteger(range.stamp),
      ]),
    }),
  };
}

/** Undefined where the header has none. @throws {CacheError} E_FRAME when it is malformed. */
export function readResolution(fields: Fields): Resolution | undefined {
  const object = fieldsIn(fields, "object");
  if (object === undefined) return undefined;
  const uint = (key: string): number => object.uint(key, Number.MAX_SAFE_INTEGER);
  return {
    objectId: uint("id"),
    volumeId: uint("volume"),
    stamp: uint("stamp"),
    instance: object.uint63("instance"),
    notices: uint("notices"),
    ranges: rangesOf(object.raw("ranges") ?? []),
  };
}

function rangesOf(value: HeaderValue): StampedRange[] {
  const malformed = (): CacheError =>
    new CacheError("E_FRAME", "Cannot read a resolution: its ranges are malformed");
  if (!Array.isArray(value) || value.length > RANGES_MAX) throw malformed();
  return (value as readonly HeaderValue[]).map((range) => {
    if (!Array.isArray(range) || range.length !== 3) throw malformed();
    const [firstBlock, endBlock, stamp] = range.map(Number) as [number, number, number];
    const sound = firstBlock >= 0 && endBlock <= BLOCK_NUMBERS_MAX && firstBlock < endBlock && stamp >= 0;
    if (!sound || ![firstBlock, endBlock, stamp].every(Number.isSafeInteger)) throw malformed();
    return { firstBlock, endBlock, stamp };
  });
}

function fieldsIn(fields: Fields, key: string): Fields | undefined {
  const value = fields.raw(key);
  if (value === undefined) return undefined;
  if (
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Uint8Array)
  ) {
    return new Fields(value as Header, "E_FRAME");
  }
  throw new CacheError("E_FRAME", `Cannot read a reply: ${key} is no map`);
}
