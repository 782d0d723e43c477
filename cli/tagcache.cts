#!/usr/bin/env node
/**
 * What `tagcache` starts: sees to enough threads for slow drives, then runs the command line. libuv reads its variable once,
 * when its pool is first used, and loading an ES module uses it; so this one file is CommonJS, and is first.
 */

/** Slots are read and written on these. The default of 4 would let four calls that a sick drive holds stop all others. */
const THREADS = "16";

process.env["UV_THREADPOOL_SIZE"] ||= THREADS;

// main.ts reports whatever goes wrong in it; what is left is a file that is missing, and that may end the process.
void import("./main.js");
