/** How much is left to chance: some rounds in each run of the tests, many in `make torture`. */

/** The usual number of rounds, times TORTURE_EFFORT (1 unless given). */
export function roundsOf(usual: number): number {
  const effort = Number(process.env["TORTURE_EFFORT"] ?? "1");
  return Math.ceil(usual * (effort > 0 ? effort : 1));
}
