/** Names of files for a recording. */
import { nameBuffer } from "../../index/core/names.js";
import type { FileName } from "../open-api.js";
import type { TracedFile } from "./recorder.js";

/** For a recording: a file that the cache has not heard of. */
export function unknownFile({ fs, volume, inode }: FileName): TracedFile {
  return { volume: { fs: nameBuffer(fs), volume: nameBuffer(volume) }, inode: nameBuffer(inode) };
}
