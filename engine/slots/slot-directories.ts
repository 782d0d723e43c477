/**
 * The directories that slot files lie in. Each is opened without following a link, has to be its cache's own, and is used
 * by its descriptor: whatever is done to the names on the way, a slot file is looked for in the directory that was checked.
 */
import fs from "node:fs";
import { CacheError, errnoOf } from "../../index/core/errors.js";
import { isTrustedOwner } from "../../index/core/own-files.js";
import { SLOTS_PER_DIRECTORY, slotDirectory, slotPath } from "./slot-paths.js";

const { O_RDONLY, O_NOFOLLOW, O_DIRECTORY } = fs.constants;
/** Directories kept open, each of 4096 slots; those in use beyond it as well. */
const OPEN_MAX = 64;

interface OpenDirectory {
  readonly number: number;
  readonly fd: number;
  readonly owner: number;
  /** Calls under way by its descriptor. */
  users: number;
}

/** A slot file by way of an open directory, until it is released. */
export interface SlotPlace {
  readonly path: string;
  /** Once, when no call by the path is under way any more. */
  readonly release: () => void;
}

export interface SlotDirectoriesOptions {
  /** Of those that are made. */
  readonly mode: number;
  /** Told when one was made. */
  readonly onMade: () => void;
  /** Whether they are kept open; who only reads, and may be forbidden to, looks by name each time. */
  readonly hold: boolean;
}

export class SlotDirectories {
  readonly #root: string;
  readonly #options: SlotDirectoriesOptions;
  /** Least recently used first. */
  readonly #open = new Map<number, OpenDirectory>();
  #rootOwner: number | undefined;

  constructor(root: string, options: SlotDirectoriesOptions) {
    this.#root = root;
    this.#options = options;
  }

  /**
   * Makes the directory if `create` is set and it is missing.
   * @throws {CacheError} E_IO if something else stands there, or somebody else's. Other errors are those of node:fs.
   */
  use(slot: number, create = false): SlotPlace {
    if (!this.#options.hold) return { path: slotPath(this.#root, slot), release: () => undefined };
    const directory = this.#find(slot, create);
    directory.users += 1;
    return {
      path: `/proc/self/fd/${directory.fd}/${slot}`,
      release: () => {
        directory.users -= 1;
      },
    };
  }

  /** The same for one call that ends before anything else happens. */
  once<T>(slot: number, body: (path: string) => T): T {
    if (!this.#options.hold) return body(slotPath(this.#root, slot));
    return body(`/proc/self/fd/${this.#find(slot, false).fd}/${slot}`);
  }

  /** Of the directory of a slot that is in use. */
  ownerOf(slot: number): number {
    return this.#options.hold ? this.#find(slot, false).owner : this.#ownerOfRoot();
  }

  /** No call may be under way. */
  close(): void {
    for (const { fd } of this.#open.values()) fs.closeSync(fd);
    this.#open.clear();
  }

  #find(slot: number, create: boolean): OpenDirectory {
    const number = Math.floor(slot / SLOTS_PER_DIRECTORY);
    const known = this.#open.get(number);
    if (known === undefined) return this.#add(slot, number, create);
    this.#open.delete(number);
    this.#open.set(number, known);
    return known;
  }

  #add(slot: number, number: number, create: boolean): OpenDirectory {
    const directory = slotDirectory(this.#root, slot);
    const fd = this.#openDirectory(directory, create);
    try {
      const { uid } = fs.fstatSync(fd);
      if (!isTrustedOwner(uid, this.#ownerOfRoot())) {
        throw new CacheError("E_IO", `Cannot use the directory of slot ${slot}: user ${uid} owns it`);
      }
      const opened = { number, fd, owner: uid, users: 0 };
      this.#makeRoom();
      this.#open.set(number, opened);
      return opened;
    } catch (error) {
      fs.closeSync(fd);
      throw error;
    }
  }

  #ownerOfRoot(): number {
    this.#rootOwner ??= fs.statSync(this.#root).uid;
    return this.#rootOwner;
  }

  #openDirectory(directory: string, create: boolean): number {
    try {
      return fs.openSync(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    } catch (error) {
      const errno = errnoOf(error);
      if (errno === "ELOOP" || errno === "ENOTDIR") {
        throw new CacheError("E_IO", "Cannot use the directory of a slot: it is not a directory", {
          cause: error,
        });
      }
      if (errno !== "ENOENT" || !create) throw error;
    }
    fs.mkdirSync(directory, { mode: this.#options.mode });
    this.#options.onMade();
    return fs.openSync(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  }

  #makeRoom(): void {
    for (const { number, fd, users } of this.#open.values()) {
      if (this.#open.size < OPEN_MAX) return;
      if (users > 0) continue;
      this.#open.delete(number);
      fs.closeSync(fd);
    }
  }
}
