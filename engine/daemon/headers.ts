/** Frame headers: one msgpack map with text keys. Format: engine/PROTOCOL.md "Headers". */
import { Packr } from "msgpackr/pack";

export type HeaderValue =
  | string
  | number
  | bigint
  | boolean
  | null
  | Uint8Array
  | readonly HeaderValue[]
  | { readonly [key: string]: HeaderValue };

export type Header = Readonly<Record<string, HeaderValue>>;

const packer = new Packr({ useRecords: false, variableMapSize: true });

/** Integers above 32 bits are sent as 64-bit integers: the packer would make floats of them. */
export function wireInteger(value: number): number | bigint {
  return Number.isSafeInteger(value) && (value > 0xffff_ffff || value < -0x8000_0000) ? BigInt(value) : value;
}

export function encodeHeader(header: Header): Buffer {
  return packer.pack(header);
}
