/** Starts and ends recordings, one at a time, and says how they are. The calls behind TraceCalls. */
import { CacheError, messageOf } from "../../index/core/errors.js";
import type { LogFunction } from "../log.js";
import {
  TRACE_BYTES,
  TRACE_BYTES_MAX,
  TRACE_BYTES_MIN,
  type TraceOptions,
  type TraceState,
  type TraceStatus,
} from "../trace-api.js";
import { Recorder } from "./recorder.js";
import { TraceFile } from "./trace-file.js";

/** What was recorded is on its way to the file after this at the latest. */
const FLUSH_EVERY_MS = 1000;

interface Recording {
  readonly options: Required<TraceOptions>;
  readonly startedMs: number;
  readonly recorder: Recorder;
  readonly file: TraceFile;
  readonly timer: NodeJS.Timeout;
  state: TraceState;
  reason?: string;
  /** Resolves when its file is closed. */
  closed?: Promise<void>;
}

export interface TracingParts {
  readonly now: () => number;
  readonly log: LogFunction;
  /** Told when a recording begins and when it ends. */
  readonly onChange: (recording: boolean) => void;
}

export class Tracing {
  readonly #now: () => number;
  readonly #log: LogFunction;
  readonly #onChange: (recording: boolean) => void;
  /** Who is to be told of each access; undefined while nothing is recorded. */
  recorder: Recorder | undefined;
  #last: Recording | undefined;
  #starting = false;

  constructor(parts: TracingParts) {
    this.#now = parts.now;
    this.#log = parts.log;
    this.#onChange = parts.onChange;
  }

  #setRecorder(recorder: Recorder | undefined): void {
    this.recorder = recorder;
    this.#onChange(recorder !== undefined);
  }

  /** As TraceCalls.startTrace. */
  async start({ path, bytesMax = TRACE_BYTES }: TraceOptions): Promise<TraceStatus> {
    if (!Number.isSafeInteger(bytesMax) || bytesMax < TRACE_BYTES_MIN || bytesMax > TRACE_BYTES_MAX) {
      const wanted = `want ${TRACE_BYTES_MIN} to ${TRACE_BYTES_MAX}`;
      throw new CacheError("E_ARGUMENT", `Cannot record ${bytesMax} bytes: ${wanted}`);
    }
    if (this.#starting || this.recorder !== undefined) {
      const where = this.#last === undefined ? "" : ` to ${this.#last.options.path}`;
      throw new CacheError("E_BUSY", `Cannot record to ${path}: a recording${where} runs`);
    }
    this.#starting = true;
    try {
      await this.#last?.closed;
      const file = await TraceFile.create(path, (error) => this.#end("failed", messageOf(error)));
      this.#begin(file, { path, bytesMax });
    } finally {
      this.#starting = false;
    }
    this.#log("info", "recording accesses", { path, bytesMax });
    return this.status();
  }

  #begin(file: TraceFile, options: Required<TraceOptions>): void {
    const startedMs = Date.now();
    const recorder = new Recorder({
      write: (bytes) => file.write(bytes),
      hasRoom: () => file.hasRoom,
      onFull: (reason) => this.#end("full", reason),
      bytesMax: options.bytesMax,
      now: this.#now,
      startMs: startedMs,
      firstNumber: this.#last?.recorder.endNumber ?? 0,
    });
    const timer = setInterval(() => recorder.flush(), FLUSH_EVERY_MS).unref();
    this.#last = { options, startedMs, recorder, file, timer, state: "recording" };
    this.#setRecorder(recorder);
  }

  /** As TraceCalls.stopTrace. */
  async stop(): Promise<TraceStatus> {
    if (this.recorder !== undefined) this.#end("stopped");
    await this.#last?.closed;
    return this.status();
  }

  status(): TraceStatus {
    if (this.#last === undefined) return { state: "none" };
    const { state, options, startedMs, recorder, reason } = this.#last;
    return { state, ...options, startedMs, ...recorder.figures, ...(reason !== undefined && { reason }) };
  }

  #end(state: TraceState, reason?: string): void {
    const recording = this.#last;
    if (recording === undefined || recording.state === "failed") return;
    clearInterval(recording.timer);
    this.#setRecorder(undefined);
    recording.state = state;
    if (reason !== undefined) recording.reason = reason;
    recording.recorder.flush();
    recording.closed ??= recording.file.close();
    const { path } = recording.options;
    const fields = { path, ...recording.recorder.figures, ...(reason !== undefined && { reason }) };
    this.#log(state === "failed" ? "warn" : "info", `the recording of accesses is ${state}`, fields);
  }
}
