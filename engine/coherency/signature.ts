/** The file that says "this directory is a cache of ours": FORMAT.md "Signature file". */
import fs from "node:fs";
import path from "node:path";
import { CacheError, errnoOf } from "../../index/core/errors.js";
import { FORMAT_VERSION } from "../../index/core/layout.js";
import { replaceFile } from "./durable-file.js";

export const SIGNATURE_NAME = "format";
const SIGNATURE_BYTES_MAX = 4096;
const PATTERN = /^tagcache cache directory\nformat ([1-9][0-9]{0,8})\ncache ([0-9a-f]{32})\n/;

export interface Signature {
  readonly formatVersion: number;
  readonly cacheId: Buffer;
}

/** Undefined where there is none. @throws {CacheError} E_NOT_OURS if a file of that name is something else. */
export function readSignature(directory: string): Signature | undefined {
  const file = path.join(directory, SIGNATURE_NAME);
  let text: string;
  try {
    const stats = fs.lstatSync(file);
    text = stats.isFile() && stats.size <= SIGNATURE_BYTES_MAX ? fs.readFileSync(file, "latin1") : "";
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw new CacheError("E_DIRECTORY", `Cannot read ${file}: ${errnoOf(error)}`, { cause: error });
  }
  const match = PATTERN.exec(text);
  if (match === null) {
    throw new CacheError(
      "E_NOT_OURS",
      `Cannot use ${directory}: its file "${SIGNATURE_NAME}" is not that of a tagcache`,
    );
  }
  return { formatVersion: Number(match[1]), cacheId: Buffer.from(match[2] as string, "hex") };
}

/** Durable when it returns. */
export function writeSignature(directory: string, cacheId: Buffer, formatVersion = FORMAT_VERSION): void {
  const text = `tagcache cache directory\nformat ${formatVersion}\ncache ${cacheId.toString("hex")}\n`;
  replaceFile(path.join(directory, SIGNATURE_NAME), [Buffer.from(text, "latin1")]);
}
