/**
 * The directory origin: files of mounted file systems, as things that can be cached.
 *
 * A file's tag is made of fs `dir`, the volume (absolute path of the mount point, or the name of an origin that the
 * user named) and the inode (path below it, raw bytes). Links are never followed, and nothing but a regular file is
 * ever opened.
 */
import { constants, readlinkSync } from "node:fs";
import { lstat } from "node:fs/promises";
import { errnoOf } from "../../index/core/errors.js";
import { Descriptor } from "./descriptor.js";
import { OriginFile } from "./file.js";
import type { Mount } from "./mounts.js";
import { MountTable, isBypassed, isLocal } from "./mounts.js";
import { isWithin, pathBelow } from "./paths.js";
import type { SkipReason, Skipped } from "./trouble.js";
import { originError } from "./trouble.js";

/** The `fs` part of every tag of this origin. */
export const ORIGIN_FS = "dir";

export interface OriginOptions {
  /** Origins with a name of their own: files below `path` get `name` as their volume, on whatever file system they are. */
  readonly named?: readonly { readonly name: Buffer; readonly path: Buffer }[];
  /** The cache's own directories, as absolute real paths; what lies there is never cached. */
  readonly ownDirectories?: readonly Buffer[];
  /** Wall clock in nanoseconds since 1970. */
  readonly nowNs?: () => bigint;
}

/** O_NONBLOCK: a FIFO that takes a file's place after lstat must not block us. O_NOCTTY: nor may a terminal catch us. */
const FILE_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY;
const DIRECTORY_FLAGS = FILE_FLAGS | constants.O_DIRECTORY;

/** Devices remembered; far more than anybody mounts. */
const DEVICES_NOTED_MAX = 1000;

/** Opens files and directories of mounted file systems by the rules above. */
export class Origin {
  readonly #mounts = new MountTable();
  readonly #named: readonly { readonly name: Buffer; readonly path: Buffer }[];
  readonly #ownDirectories: readonly Buffer[];
  readonly #nowNs: () => bigint;
  /** By st_dev, whether the file system is local; noted anew at every open. */
  readonly #localDevices = new Map<number, boolean>();

  constructor(options: OriginOptions = {}) {
    // The longest path first, so that an origin named inside another one wins.
    this.#named = (options.named ?? []).toSorted((a, b) => b.path.length - a.path.length);
    this.#ownDirectories = options.ownDirectories ?? [];
    this.#nowNs = options.nowNs ?? (() => BigInt(Date.now()) * 1_000_000n);
  }

  /** Origins with a name of their own. */
  get named(): readonly { readonly name: Buffer; readonly path: Buffer }[] {
    return this.#named;
  }

  /**
   * Opens a regular file for reading.
   * @param path absolute, without links among its parents (see absolutePath).
   * @returns the file, which the caller closes; or why it was not opened.
   * @throws {CacheError} E_IO when the origin refuses, with the errno in the cause.
   */
  async open(path: Buffer): Promise<OriginFile | Skipped> {
    const device = await deviceOfRegular(path);
    if (typeof device === "object") return device;
    const descriptor = await openPath(path, FILE_FLAGS, this.#localDevices.get(device) === true);
    if ("kind" in descriptor) return descriptor;
    try {
      const openedAtNs = this.#nowNs();
      const mount = this.#mounts.of(descriptor.number);
      descriptor.isLocal = mount !== undefined && isLocal(mount);
      this.#noteDevice(device, descriptor.isLocal);
      const stamp = await descriptor.stat();
      if (!stamp.isFile()) return await closed(descriptor, "not-regular");
      if (!realPathOf(descriptor).equals(path)) return await closed(descriptor, "moved");
      const place = this.#placeOf(path, mount);
      return new OriginFile({ path, descriptor, mount, stamp, openedAtNs, ...place });
    } catch (error) {
      await descriptor.close();
      throw originError("open", path, error);
    }
  }

  /**
   * Opens a directory for a walk.
   * @param mountId the mount it has to be on; any unless given.
   * @throws {CacheError} E_IO when the origin refuses.
   */
  async openDirectory(path: Buffer, mountId?: number): Promise<OpenedDirectory | Skipped> {
    const descriptor = await openPath(path, DIRECTORY_FLAGS, false);
    if ("kind" in descriptor) return descriptor;
    try {
      if (!realPathOf(descriptor).equals(path)) return await closed(descriptor, "moved");
      if (this.#isOwn(path)) return await closed(descriptor, "own-directory");
      const mount = this.#mounts.of(descriptor.number);
      if (mount === undefined) return await closed(descriptor, "unreachable");
      if (mountId !== undefined && mount.id !== mountId) return await closed(descriptor, "other-mount");
      // Not even listed: /proc and /sys are deep and answer slowly.
      const bypassed = isBypassed(mount) && this.#nameFor(path) === undefined;
      if (bypassed) return await closed(descriptor, "memory-or-kernel");
      descriptor.isLocal = isLocal(mount);
      return { kind: "directory", descriptor, mountId: mount.id };
    } catch (error) {
      await descriptor.close();
      throw originError("open", path, error);
    }
  }

  /**
   * Volume and inode of a path, whether there is something under it or not.
   * @param directory an existing one, without links among its parents, on the mount that counts.
   * @throws {CacheError} E_IO when the origin refuses.
   */
  async namesOf(
    path: Buffer,
    directory: Buffer,
  ): Promise<{ volume: Buffer; inode: Buffer; bypass?: SkipReason }> {
    const descriptor = await openPath(directory, DIRECTORY_FLAGS, false);
    if ("kind" in descriptor) throw originError("open", directory, { code: "ELOOP" });
    try {
      return this.#placeOf(path, this.#mounts.of(descriptor.number));
    } finally {
      await descriptor.close();
    }
  }

  #noteDevice(device: number, local: boolean): void {
    if (this.#localDevices.size >= DEVICES_NOTED_MAX) this.#localDevices.clear();
    this.#localDevices.set(device, local);
  }

  #placeOf(path: Buffer, mount: Mount | undefined): { volume: Buffer; inode: Buffer; bypass?: SkipReason } {
    const named = this.#nameFor(path);
    const point = named?.path ?? mount?.point ?? Buffer.from("/");
    const place = { volume: named?.name ?? point, inode: pathBelow(point, path) };
    if (mount === undefined || !isWithin(point, path)) return { ...place, bypass: "unreachable" };
    if (this.#isOwn(path)) return { ...place, bypass: "own-directory" };
    if (named === undefined && isBypassed(mount)) return { ...place, bypass: "memory-or-kernel" };
    return place;
  }

  #nameFor(path: Buffer): { readonly name: Buffer; readonly path: Buffer } | undefined {
    return this.#named.find((origin) => isWithin(origin.path, path));
  }

  #isOwn(path: Buffer): boolean {
    return this.#ownDirectories.some((own) => isWithin(own, path));
  }
}

export interface OpenedDirectory {
  readonly kind: "directory";
  /** The caller closes it. */
  readonly descriptor: Descriptor;
  readonly mountId: number;
}

/** st_dev of a regular file. Opening a device can act on it, so what is no regular file is not even opened. */
async function deviceOfRegular(path: Buffer): Promise<number | Skipped> {
  try {
    const stats = await lstat(path);
    if (stats.isFile()) return stats.dev;
    return { kind: "skipped", reason: stats.isSymbolicLink() ? "link" : "not-regular" };
  } catch (error) {
    throw originError("open", path, error);
  }
}

async function openPath(path: Buffer, flags: number, local: boolean): Promise<Descriptor | Skipped> {
  try {
    return await Descriptor.open(path, flags, local);
  } catch (error) {
    if (errnoOf(error) === "ELOOP") return { kind: "skipped", reason: "link" };
    throw originError("open", path, error);
  }
}

/** The path of what was really opened: it differs when a parent was replaced by a link, or the file removed. */
function realPathOf(descriptor: Descriptor): Buffer {
  return readlinkSync(`/proc/self/fd/${descriptor.number}`, "buffer");
}

async function closed(descriptor: Descriptor, reason: SkipReason): Promise<Skipped> {
  await descriptor.close();
  return { kind: "skipped", reason };
}
