/** What an index says of itself. */
export interface IndexStats {
  /** Sizes of data.mdb and lock.mdb. */
  readonly fileBytes: number;
  /** Pages that hold something; what is left of fileBytes is reused by later commits. */
  readonly usedBytes: number;
  /** Committed entries. */
  readonly entryCount: number;
  /** Committed records of files. */
  readonly objectCount: number;
  /** Number of the last commit. */
  readonly transactionId: number;
}
