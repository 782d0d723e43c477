/** What the kernel says of this thread's time, so that a figure can be told from what a busy machine adds to it. */
import fs from "node:fs";

export interface ThreadTime {
  /** By the clock. */
  readonly wallMs: number;
  /** On a processor. */
  readonly runMs: number;
  /** Ready to run, while the processors did something else. What is left of the wall time was sleep, or a lock. */
  readonly waitMs: number;
}

const FILE = "/proc/thread-self/schedstat";
const TEXT_BYTES_MAX = 96;

/** Readings of the thread that made it; a reading takes some 3 µs. Kernels without the file say that nothing waited. */
export class ThreadClock {
  readonly #fd: number | undefined;
  readonly #text = Buffer.alloc(TEXT_BYTES_MAX);

  constructor() {
    this.#fd = fs.existsSync(FILE) ? fs.openSync(FILE, "r") : undefined;
  }

  now(): ThreadTime {
    const wallMs = performance.now();
    if (this.#fd === undefined) return { wallMs, runMs: wallMs, waitMs: 0 };
    const length = fs.readSync(this.#fd, this.#text, 0, TEXT_BYTES_MAX, 0);
    const [runNs, waitNs] = this.#text.toString("latin1", 0, length).split(" ", 2);
    return { wallMs, runMs: Number(runNs) / 1e6, waitMs: Number(waitNs) / 1e6 };
  }

  /** What went by since an earlier reading. */
  since(earlier: ThreadTime): ThreadTime {
    const { wallMs, runMs, waitMs } = this.now();
    return {
      wallMs: wallMs - earlier.wallMs,
      runMs: runMs - earlier.runMs,
      waitMs: waitMs - earlier.waitMs,
    };
  }
}

/** The wall time less the time that others had the processor for. */
export function ownMs({ wallMs, waitMs }: ThreadTime): number {
  return Math.max(0, wallMs - waitMs);
}
