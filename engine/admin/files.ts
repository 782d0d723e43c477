/** Files of a volume with what is cached of each as a whole, in pages. */
import type { Selection } from "../../index/core/selector.js";
import { lookAt } from "../file-look.js";
import type { FileEntry, FilePage } from "../open-api.js";
import type { AdminParts } from "./admin.js";
import type { Page } from "./listing.js";

/** Fills a page with the files behind `after`, a step a file. */
export function* fileSteps(
  { blocks, onCorrupt }: AdminParts,
  { fs, volume: volumeName }: Selection,
  after: Buffer | undefined,
  page: Page<FileEntry>,
): Generator<void> {
  const { index, objects } = blocks.life;
  const volume = fs && volumeName && index.names.findVolume(fs, volumeName);
  if (fs === undefined || volumeName === undefined || volume === undefined) return;
  for (const { inode } of index.objectsOf(volume.id, after === undefined ? {} : { after })) {
    if (page.refuses(inode.length)) return;
    // The walk reads ahead: what counts is what stands now.
    const object = objects.find(fs, volumeName, inode);
    if (object?.recorded === true)
      page.add({ inode, look: lookAt({ blocks, onCorrupt }, object) }, inode.length);
    yield;
  }
}

export function filePageOf(page: Page<FileEntry>): FilePage {
  return { files: page.entries, more: page.more };
}
