/** The options that name a block, for the commands that work on one. */
import type { Command } from "commander";
import type { Tag } from "../engine/cache.js";
import { checkBlock, checkFsName, checkName, parseNameText } from "../index/core/names.js";

export interface TagOptions {
  readonly fs: string;
  readonly volume: string;
  readonly inode: string;
  readonly block: string;
}

/** Declares --fs, --volume, --inode and --block, all required. */
export function addTagOptions(command: Command): Command {
  return command
    .requiredOption("--fs <name>", "file system type, as text or hex:DIGITS")
    .requiredOption("--volume <name>", "volume, as text or hex:DIGITS")
    .requiredOption("--inode <name>", "file, as text or hex:DIGITS")
    .requiredOption("--block <number>", "number of the 256 KiB block, from 0");
}

/** @throws {CacheError} E_ARGUMENT when a part is malformed or out of range. */
export function tagOf(options: TagOptions): Tag {
  return {
    fs: checkFsName(parseNameText(options.fs)),
    volume: checkName("volume", parseNameText(options.volume)),
    inode: checkName("inode", parseNameText(options.inode)),
    // Number() alone would take "", "0x10" and "1e3".
    block: checkBlock(/^-?[\d.]+$/.test(options.block) ? Number(options.block) : Number.NaN),
  };
}
