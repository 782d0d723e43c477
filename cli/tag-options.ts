/** The options that name a block, for the commands that work on one. */
import type { Command } from "commander";
import type { Tag } from "../engine/cache.js";
import { CacheError } from "../index/core/errors.js";
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
    block: checkBlock(blockOf(options.block)),
  };
}

/** @throws {CacheError} E_ARGUMENT with the text as it was given. */
function blockOf(text: string): number {
  const block = Number(text);
  if (/^-?[\d.]+$/.test(text) && Number.isSafeInteger(block)) return block;
  throw new CacheError("E_ARGUMENT", `Cannot use block "${text}": want a whole number from 0 to 2^45 - 1`);
}
