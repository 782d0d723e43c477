/** Recording the accesses of a cache to a file, in types alone, as api.ts. */

/** Bytes that a recording may take unless told otherwise, and the bounds of what may be told. */
export const TRACE_BYTES = 64 * 1024 * 1024;
export const TRACE_BYTES_MIN = 4096;
export const TRACE_BYTES_MAX = 1024 ** 4;
/** Different files that a recording names; with one more it is full. */
export const TRACE_FILES_MAX = 262_144;

export const TRACE_STATES = ["none", "recording", "stopped", "full", "failed"] as const;

/**
 * - `none`: nothing was recorded since the start;
 * - `stopped`: on request;
 * - `full`: at its bound of bytes or files; what came before is there, what comes now is not;
 * - `failed`: the file could not be written any more; `reason` says why.
 */
export type TraceState = (typeof TRACE_STATES)[number];

/** The recording that runs, or the last one. All but `state` absent where there was none. */
export interface TraceStatus {
  readonly state: TraceState;
  readonly path?: string;
  /** Milliseconds since 1970. */
  readonly startedMs?: number;
  /** Bytes of the file, those on their way to it included. */
  readonly bytes?: number;
  readonly bytesMax?: number;
  readonly accesses?: number;
  /** Different files among them. */
  readonly files?: number;
  /** Accesses that were left out because the drive was too slow for them; the recording has their number. */
  readonly lost?: number;
  readonly reason?: string;
}

export interface TraceOptions {
  /** Absolute; a file that does not exist yet. It is made with mode 0600, and written in the background. */
  readonly path: string;
  /** At most so many bytes, TRACE_BYTES unless given. At this bound the recording ends: what came first is kept. */
  readonly bytesMax?: number;
}

/** Format of the file: engine/FORMAT.md "Trace". */
export interface TraceCalls {
  /**
   * Begins to record every access: reads and writes, which block and part, how it ended, and when. What is recorded
   * reaches the file within a second or so. @throws {CacheError} E_ARGUMENT, also for a file that exists; E_IO when it
   * cannot be made; E_BUSY while another recording runs; E_CLOSED.
   */
  startTrace(options: TraceOptions): Promise<TraceStatus>;
  /** Ends the recording; the file is flushed to the drive when this resolves. Without one, nothing happens. @throws {CacheError} E_CLOSED. */
  stopTrace(): Promise<TraceStatus>;
  /** @throws {CacheError} E_CLOSED. */
  traceStatus(): Promise<TraceStatus>;
}
