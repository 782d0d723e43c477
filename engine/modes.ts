/** Who may read what a cache makes on the drive: its owner alone, or also a group, for direct reads. */
export interface Modes {
  /** Of the cache directory, `slots/` and what is in it. */
  readonly directory: number;
  /** Of slot files and the lookup file. */
  readonly file: number;
}

export const OWNER_ONLY: Modes = { directory: 0o700, file: 0o600 };
/** Directories hand their group on to what is made in them. */
export const GROUP_READS: Modes = { directory: 0o2750, file: 0o640 };
