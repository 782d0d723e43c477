/** What a daemon offers that can tell and change its own configuration. The wire knows keys and values as text alone. */

/** One setting as it stands. */
export interface ConfigEntry {
  readonly key: string;
  readonly value: string;
  /** `flag`, `environment`, `file`, `default`, or `set` while running. */
  readonly source: string;
  /** Which variable, or which file and line. */
  readonly origin?: string;
}

export interface ConfigService {
  entries(): readonly ConfigEntry[];
  /**
   * Puts the values in place, all or none; `default` goes back to what stood without. Resolves, with all entries, when
   * what they take away is given back to the drive.
   * @throws {CacheError} E_ARGUMENT an unknown key or malformed value, E_CONFIG a contradiction or a key that needs a
   *   restart: nothing is changed. E_NO_SPACE what is in use keeps it from fitting: the values stand all the same.
   */
  set(changes: ReadonlyMap<string, string>): Promise<readonly ConfigEntry[]>;
}
