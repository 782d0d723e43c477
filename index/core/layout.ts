/** Sizes and limits that the formats on disk and on the wire rest on. Changing one changes a format version. */
import assert from "node:assert/strict";

export const PAGE_BYTES = 4096;
/** A checksum covers the present pages of one group. */
export const GROUP_BYTES = 32 * 1024;
/** A slot file holds one block. */
export const SLOT_BYTES = 256 * 1024;
export const SLOT_PAGES = SLOT_BYTES / PAGE_BYTES;
export const SLOT_GROUPS = SLOT_BYTES / GROUP_BYTES;
export const GROUP_PAGES = GROUP_BYTES / PAGE_BYTES;

/** Block numbers lie below this, so that a file may be as large as 2^63 bytes. */
export const BLOCK_NUMBERS_MAX = 2 ** 45;
/** Object and volume ids take six bytes in a key. */
export const OBJECT_IDS_MAX = 2 ** 48;
/** Sequence numbers of generations take six bytes in an entry. */
export const SEQUENCES_MAX = 2 ** 48;
/** Slot numbers take four bytes; the last one means "no slot". */
export const NO_SLOT = 0xffff_ffff;

/** A cache id is drawn at random when its ledger is made. */
export const CACHE_ID_BYTES = 16;

/** `fs` names a file system type: 1 to this many bytes. */
export const FS_NAME_BYTES_MAX = 255;
/** `volume` and `inode` are opaque: 0 to this many bytes each. */
export const NAME_BYTES_MAX = 65_535;
/** Coherency data of a volume or a cookie: 0 to this many bytes. */
export const COHERENCY_BYTES_MAX = 4096;

/** Names of directory entries: 1 to this many bytes. NFS and AFS servers stop at 255, 255 UTF-16 units of SMB take 765, S3 keys 1024. */
export const ENTRY_NAME_BYTES_MAX = 1024;
/** Names of extended attributes: 1 to this many bytes, as Linux has it. */
export const XATTR_NAME_BYTES_MAX = 255;
/** Values of extended attributes: 0 to this many bytes, as Linux has it. */
export const XATTR_BYTES_MAX = 65_536;
/** Opaque attributes of a file: 0 to this many bytes. */
export const ATTRIBUTES_BYTES_MAX = 4096;
/** Target of a symbolic link: 0 to this many bytes. */
export const SYMLINK_BYTES_MAX = 4096;
/** Opaque value beside a directory entry: 0 to this many bytes. */
export const ENTRY_VALUE_BYTES_MAX = 4096;

/** Notes of a ledger; bytes of one, and of its name, which has 1 at least. */
export const NOTES_MAX = 10_000;
export const NOTE_BYTES_MAX = 1024;
export const NOTE_NAME_BYTES_MAX = 1024;

/** Version of the whole directory: slots, index, checkpoint. An older one is wiped at start, a newer one refused. */
export const FORMAT_VERSION = 3;
/** Version of the ledger, which is never wiped for its age but migrated. */
export const LEDGER_VERSION = 2;

assert.equal(SLOT_BYTES % GROUP_BYTES, 0);
assert.equal(GROUP_BYTES % PAGE_BYTES, 0);
assert.equal(SLOT_PAGES, 64, "the presence map of an entry has 64 bits");
assert.ok(BLOCK_NUMBERS_MAX * SLOT_BYTES <= 2 ** 63);

/** How many 4 KiB pages `bytes` bytes occupy. */
export function pagesOf(bytes: number): number {
  return Math.ceil(bytes / PAGE_BYTES);
}
