/** What an operation on many blocks works on: everything, a file system, a volume, a file, or a tree of files. */
import { CacheError } from "./errors.js";
import { type NameBytes, checkFsName, checkName } from "./names.js";

/** `inodePrefix` selects the files of a volume whose inode begins with these bytes. */
export type Selector =
  | { readonly all: true }
  | { readonly fs: NameBytes }
  | { readonly fs: NameBytes; readonly volume: NameBytes }
  | { readonly fs: NameBytes; readonly volume: NameBytes; readonly inode: NameBytes }
  | { readonly fs: NameBytes; readonly volume: NameBytes; readonly inodePrefix: NameBytes };

/** A selector that was checked. What is absent selects all; `inode` and `inodePrefix` are never both there. */
export interface Selection {
  readonly fs?: Buffer;
  readonly volume?: Buffer;
  readonly inode?: Buffer;
  readonly inodePrefix?: Buffer;
}

/** @throws {CacheError} E_ARGUMENT unless one of the forms of Selector. The names are copied. */
export function checkSelector(what: Selector): Selection {
  if (typeof what !== "object" || what === null) throw refused("it is no object");
  const given = what as { readonly [part: string]: unknown };
  const { all, fs, volume, inode, inodePrefix } = given;
  const named = [fs, volume, inode, inodePrefix].some((part) => part !== undefined);
  if (all !== undefined && all !== false) {
    if (all !== true || named) throw refused("all is given with names");
    return {};
  }
  if (fs === undefined) throw refused("neither all nor fs is given");
  if (volume === undefined && (inode ?? inodePrefix) !== undefined) {
    throw refused("inode is given without a volume");
  }
  if (inode !== undefined && inodePrefix !== undefined) throw refused("inode and inodePrefix are given");
  return {
    fs: Buffer.from(checkFsName(nameOf("fs", fs))),
    ...(volume !== undefined && { volume: Buffer.from(checkName("volume", nameOf("volume", volume))) }),
    ...(inode !== undefined && { inode: Buffer.from(checkName("inode", nameOf("inode", inode))) }),
    ...(inodePrefix !== undefined && {
      inodePrefix: Buffer.from(checkName("inode", nameOf("inodePrefix", inodePrefix))),
    }),
  };
}

function nameOf(part: string, name: unknown): NameBytes {
  if (typeof name === "string" || name instanceof Uint8Array) return name;
  throw refused(`${part} is neither text nor bytes`);
}

function refused(found: string): CacheError {
  const wanted = "want all, fs, fs and volume, or these and inode or inodePrefix";
  return new CacheError("E_ARGUMENT", `Cannot use a selector: ${found}, ${wanted}`);
}
