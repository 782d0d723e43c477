/** Keys that several operations share. Format: engine/PROTOCOL.md "Operations". */
import { checkFsName, checkName } from "../../index/core/names.js";
import { BLOCK_NUMBERS_MAX, FS_NAME_BYTES_MAX, NAME_BYTES_MAX } from "../../index/core/layout.js";
import type { Bypass } from "../api.js";
import type { Fields } from "./fields.js";
import type { Header } from "./headers.js";

export function bypassHeader(bypass: Bypass): Header {
  return { status: "bypass", reason: bypass.reason };
}

/** The tag of a request, in the memory of its frame. @throws {CacheError} E_ARGUMENT. */
export function tagOf(fields: Fields) {
  return {
    fs: checkFsName(fields.bytes("fs", FS_NAME_BYTES_MAX)),
    volume: checkName("volume", fields.bytes("volume", NAME_BYTES_MAX)),
    inode: checkName("inode", fields.bytes("inode", NAME_BYTES_MAX)),
    block: fields.uint("block", BLOCK_NUMBERS_MAX - 1),
  };
}
