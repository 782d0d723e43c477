/** Whether a directory may be a cache, and its skeleton. Nothing is changed in one that is not ours. */
import fs from "node:fs";
import path from "node:path";
import { CacheError, errnoOf, messageOf } from "../../index/core/errors.js";
import { FORMAT_VERSION } from "../../index/core/layout.js";
import { HeldDirectory, closeToOthers, shownPath } from "../../index/core/own-files.js";
import { syncDirectory } from "../../index/core/sync-directory.js";
import { type Signature, SIGNATURE_NAME, readSignature } from "./signature.js";

/** Names inside a cache directory; FORMAT.md "Directory". */
export interface CachePaths {
  /** As users know it. */
  readonly directory: string;
  /** The same, by its descriptor where it is held; all that follows lies below it. */
  readonly root: string;
  readonly lock: string;
  readonly index: string;
  readonly slots: string;
  readonly checkpoint: string;
  /** Published for direct readers. */
  readonly lookup: string;
  readonly probe: string;
  readonly state: string;
  /** The same if it does not lie inside the directory. */
  readonly elsewhere: string | undefined;
}

/** statfs(2) types: remote file systems give no locks and no page cache we could trust; memory does not outlive a boot. */
const REFUSED = new Map([
  [0x6969, "NFS"],
  [0x517b, "SMB"],
  [0xfe534d42, "SMB"],
  [0xff534d42, "SMB"],
  [0x65735546, "FUSE"],
  [0x01021997, "9p"],
]);
const WARNED = new Map([
  [0x01021994, "tmpfs: it does not survive a reboot and takes memory"],
  [0x794c7630, "an overlay: slot files may be copied up and slow"],
]);
const CACHEDIR_TAG = "CACHEDIR.TAG";
const CACHEDIR_TAG_TEXT =
  "Signature: 8a477f597d28d172789f06886806bc55\n# Made by tagcache; backup tools may pass this directory by.\n";
const DIRECTORY_MODE = 0o700;
/** What a starter that died early, or is just starting, may have left before the signature stands. */
const EARLY_NAMES = new Set(["lock", `${SIGNATURE_NAME}.tmp`, "lost+found"]);

/** @param held leads to the directory by its descriptor. */
export function cachePaths(directory: string, stateDirectory?: string, held?: string): CachePaths {
  const named = path.resolve(directory);
  const root = held ?? named;
  const inside = path.join(named, "ledger");
  const state = path.resolve(stateDirectory ?? inside);
  const elsewhere = state === inside ? undefined : state;
  return {
    directory: named,
    root,
    lock: path.join(root, "lock"),
    index: path.join(root, "index"),
    slots: path.join(root, "slots"),
    checkpoint: path.join(root, "checkpoint"),
    lookup: path.join(root, "lookup"),
    probe: path.join(root, "probe"),
    state: elsewhere ?? path.join(root, "ledger"),
    elsewhere,
  };
}

/** Whoever has the ledger open holds this too: it may be named as that of another cache. */
export function stateLockIn(state: string): string {
  return path.join(state, "lock");
}

/**
 * Makes the directory if there is none, and checks that it may be a cache, and that nobody else writes in it.
 * @returns the directory, open, and what the operator should know of it.
 * @throws {CacheError} E_DIRECTORY, E_NOT_OURS, E_FORMAT_VERSION.
 */
export function prepareDirectory(directory: string): { held: HeldDirectory; warnings: string[] } {
  makeDirectory(directory);
  checkUsable(directory);
  const warnings = [...checkDrive(directory)];
  checkSignature(directory);
  if (closeToOthers(directory)) warnings.push(`others could write in ${directory}: they can no more`);
  const held = HeldDirectory.open(directory);
  try {
    checkSignature(held.path); // the names that led here may lead elsewhere by now
    return { held, warnings };
  } catch (error) {
    held.close();
    throw error;
  }
}

function* checkDrive(directory: string): Generator<string> {
  const type = fs.statfsSync(directory).type >>> 0;
  const refused = REFUSED.get(type);
  if (refused !== undefined) {
    throw new CacheError(
      "E_DIRECTORY",
      `Cannot use ${directory}: it lies on ${refused}, want a local file system`,
    );
  }
  const warned = WARNED.get(type);
  if (warned !== undefined) yield `${directory} lies on ${warned}`;
}

/**
 * The signature of a cache, or undefined of a directory that is empty or was given up while it was made.
 * @throws {CacheError} E_NOT_OURS if it holds something else; E_FORMAT_VERSION if it is newer than this program.
 */
export function checkSignature(directory: string): Signature | undefined {
  const signature = readSignature(directory);
  if (signature === undefined) {
    const foreign = fs.readdirSync(directory).find((name) => !EARLY_NAMES.has(name));
    // Another starter may have finished the signature since we looked for it.
    if (foreign === undefined || readSignature(directory) !== undefined) return readSignature(directory);
    const message = `Cannot use ${shownPath(directory)}: it holds "${foreign}" and is no cache of ours, want an empty directory`;
    throw new CacheError("E_NOT_OURS", message);
  }
  if (signature.formatVersion > FORMAT_VERSION) {
    const message = `Cannot use ${shownPath(directory)}: it has format ${signature.formatVersion}, this program knows up to format ${FORMAT_VERSION}`;
    throw new CacheError("E_FORMAT_VERSION", message);
  }
  return signature;
}

/**
 * A directory of ours inside the cache, made if missing; `tagged` ones are passed by by backup tools. @returns it, open.
 * @throws {CacheError} E_DIRECTORY.
 */
export function openInner(directory: string, tagged: boolean): HeldDirectory {
  makeDirectory(directory);
  closeToOthers(directory);
  const held = HeldDirectory.open(directory, ownerOf(path.dirname(directory)));
  const tag = path.join(held.path, CACHEDIR_TAG);
  if (!tagged || fs.lstatSync(tag, { throwIfNoEntry: false }) !== undefined) return held;
  try {
    fs.writeFileSync(tag, CACHEDIR_TAG_TEXT, { mode: 0o600, flag: "wx" });
    return held;
  } catch (error) {
    held.close();
    throw error;
  }
}

/**
 * The directories of a cache that is there, open: what happens to their names meanwhile leads nowhere else. One that is missing stays a
 * name. @throws {CacheError} E_DIRECTORY for a link, a file, or what somebody else owns or may write in.
 */
export function holdPaths(
  directory: string,
  stateDirectory?: string,
): { readonly paths: CachePaths; readonly close: () => void } {
  const held: HeldDirectory[] = [];
  const close = (): void => {
    for (const each of held) each.close();
  };
  const hold = (name: string, parentOwner?: number): string => {
    if (fs.lstatSync(name, { throwIfNoEntry: false }) === undefined) return name;
    const one = HeldDirectory.open(name, parentOwner);
    held.push(one);
    return one.path;
  };
  try {
    const paths = cachePaths(directory, stateDirectory, hold(path.resolve(directory)));
    const owner = held[0]?.owner;
    const state = hold(paths.state, paths.elsewhere === undefined ? owner : undefined);
    return {
      paths: { ...paths, index: hold(paths.index, owner), slots: hold(paths.slots, owner), state },
      close,
    };
  } catch (error) {
    close();
    throw error;
  }
}

/** The same where only the name is wanted, below one that is held. */
export function makeInner(directory: string): void {
  openInner(directory, false).close();
}

function ownerOf(directory: string): number {
  return fs.statSync(directory).uid;
}

function makeDirectory(directory: string): void {
  try {
    const first = fs.mkdirSync(directory, { recursive: true, mode: DIRECTORY_MODE });
    if (first !== undefined) syncNames(path.dirname(first), path.dirname(path.resolve(directory)));
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === "EEXIST" || errno === "ENOTDIR") {
      throw new CacheError("E_DIRECTORY", `Cannot use ${shownPath(directory)}: it is not a directory`, {
        cause: error,
      });
    }
    throw new CacheError("E_DIRECTORY", `Cannot make ${shownPath(directory)}: ${errno ?? messageOf(error)}`, {
      cause: error,
    });
  }
}

/** Makes durable what was made below `top`, down to the names in `bottom`. */
function syncNames(top: string, bottom: string): void {
  for (let place = bottom; ; place = path.dirname(place)) {
    syncDirectory(place);
    if (place === top || place === path.dirname(place)) return;
  }
}

function checkUsable(directory: string): void {
  const { R_OK, W_OK, X_OK } = fs.constants;
  try {
    fs.accessSync(directory, R_OK | W_OK | X_OK);
  } catch (error) {
    const message = `Cannot use ${directory}: it may not be read and written (${errnoOf(error)})`;
    throw new CacheError("E_DIRECTORY", message, { cause: error });
  }
}
