/**
 * Imported for its effect by test files whose caches may lie in memory: what they show does not depend on a drive, and most
 * of their time would go into its flushes. A kill leaves the kernel's pages as they are, there as on a drive. With
 * TORTURE_EFFORT, or where /dev/shm is small or no memory, their place is the usual one.
 */
import fs from "node:fs";
import { roundsOf } from "./effort.js";

const MEMORY = "/dev/shm";
const TMPFS_MAGIC = 0x01021994;
const FREE_BYTES_MIN = 1024 ** 3;

function hasRoom(): boolean {
  try {
    const { type, bavail, bsize } = fs.statfsSync(MEMORY);
    fs.accessSync(MEMORY, fs.constants.W_OK);
    return type === TMPFS_MAGIC && bavail * bsize >= FREE_BYTES_MIN;
  } catch {
    return false; // there is none
  }
}

// Where temporary directories are made, here and in children.
if (roundsOf(1) === 1 && hasRoom()) process.env["TMPDIR"] = MEMORY;
