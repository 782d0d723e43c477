/** Waiting that has an end. */

/** @returns false if it did not end within so many milliseconds. */
export async function inTime(ended: Promise<boolean>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(resolve, ms, false);
  });
  return Promise.race([ended, late]).finally(() => clearTimeout(timer));
}

const ALIVE_MS = 1000;

/** Runs what the process must not end before: the timers that it may wait for keep no process alive. */
export async function keptAlive<Result>(body: () => Promise<Result>): Promise<Result> {
  const alive = setInterval(() => undefined, ALIVE_MS);
  try {
    return await body();
  } finally {
    clearInterval(alive);
  }
}
