/** The file that says "this directory is a cache of ours": FORMAT.md "Signature file". */
import fs from "node:fs";
import path from "node:path";
import { CacheError, errnoOf } from "../../index/core/errors.js";
import { FORMAT_VERSION } from "../../index/core/layout.js";
import { openOwnFile, shownPath } from "../../index/core/own-files.js";
import { replaceFile } from "./durable-file.js";

export const SIGNATURE_NAME = "format";
const SIGNATURE_BYTES_MAX = 4096;
const PATTERN =
  /^tagcache cache directory\nformat (0|[1-9][0-9]{0,8})\ncache ([0-9a-f]{32})\n(?:ledger ("[^\n]*")\n)?/;

export interface Signature {
  readonly formatVersion: number;
  readonly cacheId: Buffer;
  /** Where the ledger lies, if not inside the directory. */
  readonly ledger: string | undefined;
}

/** Undefined where there is none. @throws {CacheError} E_NOT_OURS if a file of that name is something else. */
export function readSignature(directory: string): Signature | undefined {
  const file = path.join(directory, SIGNATURE_NAME);
  let text: string;
  try {
    text = textOf(file);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw new CacheError("E_DIRECTORY", `Cannot read ${shownPath(file)}: ${errnoOf(error)}`, {
      cause: error,
    });
  }
  const match = PATTERN.exec(text);
  if (match === null) {
    throw new CacheError(
      "E_NOT_OURS",
      `Cannot use ${shownPath(directory)}: its file "${SIGNATURE_NAME}" is not that of a tagcache`,
    );
  }
  const ledger = match[3] === undefined ? undefined : String(JSON.parse(match[3]));
  return { formatVersion: Number(match[1]), cacheId: Buffer.from(match[2] as string, "hex"), ledger };
}

/** Empty for what no signature can be. Errors are those of node:fs. */
function textOf(file: string): string {
  const fd = openOwnFile(file);
  if (fd === undefined) return "";
  try {
    return fs.fstatSync(fd).size <= SIGNATURE_BYTES_MAX ? fs.readFileSync(fd, "utf8") : "";
  } finally {
    fs.closeSync(fd);
  }
}

/** Durable when it returns. */
export function writeSignature(directory: string, ledger: string | undefined, cacheId: Buffer): void {
  const place = ledger === undefined ? "" : `ledger ${JSON.stringify(ledger)}\n`;
  const text = `tagcache cache directory\nformat ${FORMAT_VERSION}\ncache ${cacheId.toString("hex")}\n${place}`;
  replaceFile(path.join(directory, SIGNATURE_NAME), [Buffer.from(text, "utf8")]);
}
