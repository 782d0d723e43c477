/** Whether this process has enough threads; tagcache.cts sees to it, whoever starts main.js himself may not. */
import type { CliLogger } from "./log.js";

/** With fewer, a drive that holds a few calls holds everything. */
const THREADS_MIN = 8;
/** libuv's own number. */
const THREADS_DEFAULT = 4;

/** Says so in the log if reads and writes have too few threads. */
export function warnOfFewThreads(log: CliLogger): void {
  const threads = Number.parseInt(process.env["UV_THREADPOOL_SIZE"] ?? "", 10) || THREADS_DEFAULT;
  if (threads >= THREADS_MIN) return;
  log.warn("few threads for reads and writes: set UV_THREADPOOL_SIZE, or start the tagcache command", {
    threads,
    want: THREADS_MIN,
  });
}
