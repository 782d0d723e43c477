/**
 * SIGKILL at the named steps of everything that changes a cache. Here some of them, drawn anew each time; make torture
 * kills at each. A step that nothing reaches fails.
 */
import { suite } from "uvu";
import { STEPS, type Step } from "../../index/core/steps.js";
import { withChildren } from "./children.js";
import { killAt, wholeTour } from "./kill-at-steps.js";
import { between, say, seedOfRun, seededRandom } from "./support.js";

const killAtSteps = suite("kills at named steps");
const KILLS = 3;

killAtSteps(
  `starts right after a kill at ${KILLS} of ${STEPS.length} steps, and all are reached`,
  async () => {
    const seed = seedOfRun();
    const random = seededRandom(seed);
    say(`  CRASH_SEED=${seed}`);
    await withChildren("./tour", async (nursery) => {
      const counts = await wholeTour(nursery, "wipe", seed);
      const told: string[] = [];
      for (let kill = 0; kill < KILLS; kill += 1) {
        const step = STEPS[between(random, 0, STEPS.length - 1)] as Step;
        const time = between(random, 1, counts[step] as number);
        told.push(`${step} (${await killAt(nursery, "wipe", seed, { step, time })})`);
      }
      say(`  ${told.join(", ")}`);
    });
  },
);

killAtSteps.run();
