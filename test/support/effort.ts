/** How much is left to chance: some rounds in each run of the tests, many in `make torture`. */

const DONE = /^ *done: (\d+) (.+)$/;

/** Tells how much of something was done; `make torture` adds it up. Not to be called within a test's own output line. */
export function tellDone(count: number, what: string): void {
  process.stdout.write(`\n  done: ${count} ${what}\n`);
}

/** What a line tells that tellDone has written. */
export function doneIn(line: string): { readonly count: number; readonly what: string } | undefined {
  const [, count, what] = DONE.exec(line) ?? [];
  return count === undefined || what === undefined ? undefined : { count: Number(count), what };
}

/** The usual number of rounds, times TORTURE_EFFORT (1 unless given). */
export function roundsOf(usual: number): number {
  const effort = Number(process.env["TORTURE_EFFORT"] ?? "1");
  return Math.ceil(usual * (effort > 0 ? effort : 1));
}
