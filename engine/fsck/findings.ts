/** What fsck found, one thing each, with a code that stays the same from version to version. */
export interface FsckFinding {
  readonly code: FindingCode;
  readonly message: string;
  readonly slot?: number;
}

export type Findings = readonly FsckFinding[];

/**
 * - `unclean`, `checkpoint-damaged`, `checkpoint-foreign`, `index-corrupt`, `index-other-commit`: the next start wipes;
 * - `ledger-foreign`: the next start is refused, for the ledger belongs to another cache;
 * - `entry-corrupt`: an entry does not read back;
 * - `entry-slot`: an entry names a slot that is not its own, nor may become so;
 * - `slot-twice`: two entries name one slot;
 * - `slot-orphan`: a used slot that no entry names;
 * - `slot-missing`, `slot-kind`, `slot-short`: the file is not there, is no plain file with one name and at most 256 KiB,
 *   or ends before the valid bytes do;
 * - `slot-accounting`: the file occupies more than is counted for it;
 * - `slot-stray`: a file that belongs to no slot;
 * - `metadata-corrupt`: a metadata record does not read back, or has a number that none can have;
 * - `metadata-orphan`: metadata of a file that is not known;
 * - `checksum`: the bytes differ from what was stored.
 */
export type FindingCode =
  | "unclean"
  | "checkpoint-damaged"
  | "checkpoint-foreign"
  | "ledger-foreign"
  | "index-corrupt"
  | "index-other-commit"
  | "entry-corrupt"
  | "entry-slot"
  | "slot-twice"
  | "slot-orphan"
  | "slot-missing"
  | "slot-kind"
  | "slot-short"
  | "slot-accounting"
  | "slot-stray"
  | "metadata-corrupt"
  | "metadata-orphan"
  | "checksum";

export class FindingList {
  readonly #all: FsckFinding[] = [];

  get all(): Findings {
    return this.#all;
  }

  add(code: FindingCode, message: string, slot?: number): void {
    this.#all.push({ code, message, ...(slot !== undefined && { slot }) });
  }
}
