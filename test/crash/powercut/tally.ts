/** What the cuts of one part came to, and what is told of it. */
import type { Verdict } from "./judge.js";

/** What each problem counts as; they begin with these words. */
export const KINDS = ["bytes", "lost", "ledger", "start", "later", "rig"] as const;
export type Kind = (typeof KINDS)[number];

interface Scene {
  cuts: number;
  clean: number;
  wiped: number;
  kept: number;
  hits: number;
}

export class Tally {
  readonly problems = Object.fromEntries(KINDS.map((kind) => [kind, 0])) as Record<Kind, number>;
  readonly #scenes = new Map<string, Scene>();
  #cuts = 0;
  #failedCuts = 0;
  readonly #tail = { kept: 0, torn: 0, dropped: 0 };

  get failed(): boolean {
    return this.#failedCuts > 0;
  }

  get cuts(): number {
    return this.#cuts;
  }

  /** @param kept the file that has the cut again, of one that failed. */
  add(scene: string, verdict: Verdict, kept: string | undefined): void {
    const of = this.#scenes.get(scene) ?? { cuts: 0, clean: 0, wiped: 0, kept: 0, hits: 0 };
    this.#scenes.set(scene, of);
    of.cuts += 1;
    of.hits += verdict.hits;
    if (verdict.start === "clean") of.clean += 1;
    else if (verdict.action === "wipe" || verdict.start === "new") of.wiped += 1;
    else of.kept += 1;
    this.#cuts += 1;
    for (const fate of ["kept", "torn", "dropped"] as const) this.#tail[fate] += verdict.tail[fate];
    if (kept === undefined) return;
    this.#failedCuts += 1;
    for (const problem of verdict.problems) this.problems[problem.split(":")[0] as Kind] += 1;
    console.log(`  FAILED, ${scene}:`);
    for (const problem of verdict.problems.slice(0, 5)) console.log(`    ${problem}`);
    console.log(`  again: POWERCUT_AGAIN=${kept} make powercut`);
  }

  /** One line a scene, and one of the writes that no flush had made durable. */
  lines(): string[] {
    const lines = [...this.#scenes].map(([scene, { cuts, clean, wiped, kept, hits }]) => {
      const verified = kept > 0 ? `, ${kept} verified` : "";
      return `  ${scene.padEnd(8)} ${cuts} cuts: ${clean} clean, ${wiped} wiped or new${verified}; ${hits} hits, all looked at`;
    });
    const { kept, torn, dropped } = this.#tail;
    return [...lines, `  unflushed writes: ${kept} kept, ${torn} torn, ${dropped} dropped`];
  }
}
