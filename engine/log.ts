/** How the engine tells of events; it never prints. */
export type LogLevel = "error" | "warn" | "info" | "debug";
export type LogFunction = (level: LogLevel, message: string, fields?: Record<string, unknown>) => void;

/** For callers who do not listen. */
export const silent: LogFunction = () => {};
