/** The daemon's log: stderr, one line an event. */
import { fstatSync } from "node:fs";
import type { Logger } from "../engine/daemon/logger.js";
import { nameText } from "../index/core/names.js";

export const LOG_LEVELS = ["error", "warn", "info", "debug"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
export const LOG_FORMATS = ["text", "json"] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

/** The same message is written at most once in this time. */
export const REPEAT_MS = 10_000;
/** Different messages remembered; beyond it the oldest is forgotten and may repeat early. */
const MESSAGES_MAX = 256;
/** Priorities of syslog(3), which journald reads in front of a line. */
const PRIORITIES: Readonly<Record<LogLevel, number>> = { error: 3, warn: 4, info: 6, debug: 7 };

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** Write `<N>` in front and leave the time to journald. */
  readonly journald: boolean;
  readonly write: (line: string) => void;
  /** Milliseconds since 1970. */
  readonly nowMs?: () => number;
}

export interface CliLogger extends Logger {
  /** Writes what was held back as a repetition and is due. Called by a timer; by hand before the process ends. */
  flush(options?: { readonly all: boolean }): void;
  /** From here on messages below `level` are dropped. */
  setLevel(level: LogLevel): void;
}

type Fields = Readonly<Record<string, unknown>>;

interface Remembered {
  readonly level: LogLevel;
  readonly message: string;
  untilMs: number;
  heldBack: number;
}

/** Makes a logger; messages below `level` are dropped. */
export function createLogger(options: LogOptions): CliLogger {
  const nowMs = options.nowMs ?? Date.now;
  const remembered = new Map<string, Remembered>();
  let threshold = LOG_LEVELS.indexOf(options.level);

  const emit = (level: LogLevel, message: string, fields: Fields): void => {
    const line = options.format === "json" ? jsonLine : textLine;
    const time = options.journald ? undefined : new Date(nowMs()).toISOString();
    const prefix = options.journald ? `<${PRIORITIES[level]}>` : "";
    options.write(`${prefix}${line(time, level, message, fields)}\n`);
  };

  const flush = ({ all }: { all: boolean } = { all: false }): void => {
    for (const [key, entry] of remembered) {
      if (!all && entry.untilMs > nowMs()) continue;
      remembered.delete(key);
      if (entry.heldBack > 0) emit(entry.level, entry.message, { repeated: entry.heldBack });
    }
  };

  const log = (level: LogLevel, message: string, fields: Fields = {}): void => {
    if (LOG_LEVELS.indexOf(level) > threshold) return;
    flush();
    const key = `${level} ${message}`;
    const last = remembered.get(key);
    if (last !== undefined) {
      last.heldBack += 1;
      return;
    }
    if (remembered.size >= MESSAGES_MAX) forgetOldest(remembered, emit);
    remembered.set(key, { level, message, untilMs: nowMs() + REPEAT_MS, heldBack: 0 });
    emit(level, message, fields);
    // Without a timer the count of a message that stops coming would never be told.
    setTimeout(flush, REPEAT_MS + 1).unref();
  };

  return {
    error: (message, fields) => log("error", message, fields),
    warn: (message, fields) => log("warn", message, fields),
    info: (message, fields) => log("info", message, fields),
    debug: (message, fields) => log("debug", message, fields),
    flush,
    setLevel: (level) => {
      threshold = LOG_LEVELS.indexOf(level);
    },
  };
}

function forgetOldest(
  remembered: Map<string, Remembered>,
  emit: (level: LogLevel, message: string, fields: Fields) => void,
): void {
  const oldest = remembered.entries().next().value;
  if (oldest === undefined) return;
  remembered.delete(oldest[0]);
  if (oldest[1].heldBack > 0) emit(oldest[1].level, oldest[1].message, { repeated: oldest[1].heldBack });
}

function textLine(time: string | undefined, level: LogLevel, message: string, fields: Fields): string {
  const words = time === undefined ? [] : [time, level];
  words.push(oneLine(message));
  for (const [name, value] of Object.entries(fields)) words.push(`${name}=${textValue(value)}`);
  return words.join(" ");
}

function jsonLine(time: string | undefined, level: LogLevel, message: string, fields: Fields): string {
  const values = Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, plainValue(value)]));
  // What the event says of itself must not replace what the log says of it.
  return JSON.stringify({ ...values, ...(time !== undefined && { time }), level, message });
}

function textValue(value: unknown): string {
  const simple = plainValue(value);
  const text = typeof simple === "string" ? simple : JSON.stringify(simple);
  return /^[^\s"=]+$/.test(text) ? text : JSON.stringify(text);
}

function plainValue(value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Uint8Array) return nameText(value);
  if (value instanceof Error) return value.message;
  return value ?? null;
}

function oneLine(text: string): string {
  return text.replaceAll(/\s*[\r\n]+\s*/g, " ");
}

/** Whether stderr goes to journald: JOURNAL_STREAM names the device and inode of the stream it was given. */
export function isJournald(
  stream: string | undefined = process.env["JOURNAL_STREAM"],
  descriptor = 2,
): boolean {
  if (stream === undefined) return false;
  const { dev, ino } = fstatSync(descriptor, { bigint: true });
  return stream === `${dev}:${ino}`;
}
