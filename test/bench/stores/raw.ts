/** Plain files, one a block, with nothing over them but, if asked for, the checksum of what is read. */
import fs from "node:fs";
import path from "node:path";
import { crc32 } from "@node-rs/crc32";
import type { Store } from "./store.js";

/** Files in `directory`, made if they are not there and kept open. */
export function rawStore(directory: string, options: { readonly checked: boolean }): Store {
  fs.mkdirSync(directory, { recursive: true });
  const descriptors = new Map<number, number>();
  const fdOf = (index: number): number => {
    const known = descriptors.get(index);
    if (known !== undefined) return known;
    const fd = fs.openSync(path.join(directory, String(index)), fs.constants.O_RDWR | fs.constants.O_CREAT);
    descriptors.set(index, fd);
    return fd;
  };
  const read = (index: number, offsetBytes: number, into: Buffer): boolean => {
    const got = fs.readSync(fdOf(index), into, 0, into.length, offsetBytes);
    if (options.checked) crc32(into);
    return got === into.length;
  };
  return {
    name: options.checked ? "raw-checked" : "raw",
    put: (index, bytes) => void fs.writeSync(fdOf(index), bytes, 0, bytes.length, 0),
    get: (index, into) => read(index, 0, into),
    range: read,
    close: () => {
      for (const fd of descriptors.values()) fs.closeSync(fd);
    },
  };
}
