/** Makes the names in a directory durable: a flush of a file does not flush the directory that names it. */
import fs from "node:fs";

/** Throws what node:fs throws. */
export function syncDirectory(directory: string): void {
  const descriptor = fs.openSync(directory, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  try {
    fs.fsyncSync(descriptor);
  } finally {
    fs.closeSync(descriptor);
  }
}
