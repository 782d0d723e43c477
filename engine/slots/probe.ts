/** One careful look at a drive: are bytes that are written there now? */
import { randomBytes } from "node:crypto";
import fs from "node:fs";
import { CacheError } from "../../index/core/errors.js";
import { PAGE_BYTES } from "../../index/core/layout.js";
import { type SlotIo, nodeIo } from "./io.js";

const { O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW } = fs.constants;

/**
 * Writes a page to a file made for it, syncs it, reads it back and removes the file.
 * @throws what the drive says; {CacheError} E_IO if it takes or gives other bytes than it should.
 */
export async function probeDrive(path: string, io: SlotIo = nodeIo): Promise<void> {
  const written = randomBytes(PAGE_BYTES);
  await fs.promises.rm(path, { recursive: true, force: true }); // of a probe that did not end, or whatever it is
  const fd = await io.open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW);
  try {
    const put = await io.write(fd, written, 0, PAGE_BYTES, 0);
    await io.fdatasync(fd);
    const read = Buffer.alloc(PAGE_BYTES);
    const got = await io.read(fd, read, 0, PAGE_BYTES, 0);
    if (put !== PAGE_BYTES || got !== PAGE_BYTES || !read.equals(written)) {
      throw new CacheError(
        "E_IO",
        `Cannot trust the drive: a page of ${PAGE_BYTES} bytes written to ${path} does not read back`,
      );
    }
  } finally {
    io.closeSync(fd);
    await io.unlink(path);
  }
}
