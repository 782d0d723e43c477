/** The file calls that slots are read and written with, as an argument, so that a test can break a drive. */
import fs from "node:fs";
import { promisify } from "node:util";
import { OWNER_ONLY } from "../modes.js";

export interface SlotFileFacts {
  readonly isFile: boolean;
  readonly links: number;
  readonly sizeBytes: number;
  /** The number of the user whose it is. */
  readonly owner: number;
  /** What the file occupies on the drive, as st_blocks says. */
  readonly allocatedBytes: number;
}

/** Errors are those of node:fs, with the errno in `code`. */
export interface SlotIo {
  /** `mode` is of a file that is made. */
  openSync(path: string, flags: number, mode?: number): number;
  open(path: string, flags: number, mode?: number): Promise<number>;
  closeSync(fd: number): void;
  readSync(
    fd: number,
    target: Uint8Array,
    targetOffset: number,
    lengthBytes: number,
    position: number,
  ): number;
  read(
    fd: number,
    target: Uint8Array,
    targetOffset: number,
    lengthBytes: number,
    position: number,
  ): Promise<number>;
  write(
    fd: number,
    source: Uint8Array,
    sourceOffset: number,
    lengthBytes: number,
    position: number,
  ): Promise<number>;
  fdatasync(fd: number): Promise<void>;
  ftruncate(fd: number, sizeBytes: number): Promise<void>;
  fstatSync(fd: number): SlotFileFacts;
  /** Undefined where there is nothing; a link is not followed. */
  lstatSync(path: string): SlotFileFacts | undefined;
  unlink(path: string): Promise<void>;
  /** How often this process has read from a drive; undefined where the kernel does not count that. */
  driveReads(): number | undefined;
}

const openCall = promisify(fs.open);
const readCall = promisify(fs.read);
const writeCall = promisify(fs.write);

/** Without this file the kernel counts no reads, and says 0. */
const COUNTS_READS = fs.existsSync("/proc/self/io");

/** The real file system. */
export const nodeIo: SlotIo = {
  openSync: (path, flags, mode = OWNER_ONLY.file) => fs.openSync(path, flags, mode),
  open: (path, flags, mode = OWNER_ONLY.file) => openCall(path, flags, mode),
  closeSync: fs.closeSync,
  readSync: fs.readSync,
  read: async (fd, target, offset, length, position) =>
    (await readCall(fd, target, offset, length, position)).bytesRead,
  write: async (fd, source, offset, length, position) =>
    (await writeCall(fd, source, offset, length, position)).bytesWritten,
  fdatasync: promisify(fs.fdatasync),
  ftruncate: promisify(fs.ftruncate),
  fstatSync: (fd) => facts(fs.fstatSync(fd)),
  lstatSync: (path) => {
    const stats = fs.lstatSync(path, { throwIfNoEntry: false });
    return stats === undefined ? undefined : facts(stats);
  },
  unlink: promisify(fs.unlink),
  driveReads: () => (COUNTS_READS ? process.resourceUsage().fsRead : undefined),
};

function facts(stats: fs.Stats): SlotFileFacts {
  return {
    isFile: stats.isFile(),
    links: stats.nlink,
    owner: stats.uid,
    sizeBytes: stats.size,
    allocatedBytes: stats.blocks * 512,
  };
}
