/**
 * SIGKILL at the named steps of everything that changes a cache. Here some of them, drawn anew each time; make torture
 * kills at each. A step that nothing reaches fails.
 */
import "../support/in-memory.js";
import { suite } from "uvu";
import { STEPS, type Step } from "../../index/core/steps.js";
import { KEYS } from "../../cli/config/keys.js";
import { roundsOf, tellDone } from "../support/effort.js";
import { withChildren } from "./children.js";
import { killAt, wholeTour } from "./kill-at-steps.js";
import { between, say, seedOfRun, seededRandom } from "./support.js";

const killAtSteps = suite("kills at named steps");
const KILLS = 3;
const EFFORT = roundsOf(1);
const REGIMES = (["wipe", "verify"] as const).filter(
  (regime) => KEYS["on-unclean"].grammar.read(regime).kind === "value",
);

/** With more effort, each step several times; else some steps by chance. */
function chosenSteps(random: () => number): Step[] {
  if (EFFORT > 1) return STEPS.flatMap((step) => Array.from({ length: Math.ceil(EFFORT / 5) }, () => step));
  return Array.from({ length: KILLS }, () => STEPS[between(random, 0, STEPS.length - 1)] as Step);
}

for (const onUnclean of REGIMES) {
  killAtSteps(`starts right after kills at named steps, and all are reached, with ${onUnclean}`, async () => {
    const seed = seedOfRun();
    const random = seededRandom(seed);
    say(`  CRASH_SEED=${seed}`);
    await withChildren("./tour", async (nursery) => {
      const counts = await wholeTour(nursery, onUnclean, seed);
      const found = new Map<string, string[]>();
      for (const step of chosenSteps(random)) {
        const time = between(random, 1, counts[step] ?? 1);
        const how = await killAt(nursery, onUnclean, seed, { step, time });
        found.set(how, [...(found.get(how) ?? []), step]);
      }
      tellDone([...found.values()].flat().length, "kills at named steps");
      for (const [how, steps] of found) say(`  ${how}: ${[...new Set(steps)].join(", ")}`);
    });
  });
}

killAtSteps.run();
