import "../support/in-memory.js";
import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { suite } from "uvu";
import { roundsOf, tellDone } from "../support/effort.js";
import { withPlace } from "../support/temp-cache.js";
import { withDaemons } from "../crash/daemons.js";
import { CAPACITY_MIB, stress } from "./stress.js";

/** Some in each run of the tests, a million in `make torture`. */
const EFFORT = roundsOf(1);
const HITS = EFFORT > 1 ? 100_000 * EFFORT : 12_000;

const direct = suite("direct readers beside changes");

direct("get no wrong, torn or stale byte, stopped and continued as they are", () =>
  withPlace((directory) =>
    withDaemons(async (start) => {
      const daemon = start(directory, ["--capacity", `${CAPACITY_MIB}MiB`]);
      const seed = randomInt(2 ** 31);
      console.log(`seed ${seed}`);
      const report = await stress(daemon, { directory, seed, hits: HITS });
      console.log(JSON.stringify(report));
      tellDone(report.hits, "checked hits of direct readers");
      assert.ok(report.hits >= HITS && report.changes > 100);
      assert.ok(report.directHits > report.hits / 20, `${report.directHits} direct hits`);
      assert.equal(await daemon.end("SIGTERM"), 0);
    }),
  ),
);

direct.run();
