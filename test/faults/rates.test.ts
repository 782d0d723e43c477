/**
 * Trouble of all kinds at random rates, from every fiftieth call on slot files to most of them. The cache answers all the
 * time, and comes back by itself: within the time that a drive which was sick is watched for, if it was that. In make torture.
 */
import assert from "node:assert/strict";
import { suite } from "uvu";
import { roundsOf } from "../support/effort.js";
import type { Fault } from "../support/faulty-io.js";
import { randomOf } from "../support/temp-cache.js";
import { descriptors, expectDescriptors, ride } from "./ride.js";

const rates = suite("trouble at random rates");
const FAULTS: readonly Fault[] = [
  { errno: "EIO" },
  { errno: "ENOSPC" },
  { errno: "EMFILE" },
  { errno: "EROFS" },
  { bytesMax: 1000 },
  { bytesMax: 0 },
];
/** The rare ones leave the drive well; sick drives take 15 s each, and share them. */
const EFFORT = roundsOf(1);
const RATES = EFFORT > 1 ? [0.02, 0.05, 0.1, 0.3, 0.6, 0.9] : [0.02];
const ROUNDS = EFFORT;

for (const rate of RATES) {
  rates(`is right when ${rate * 100} % of the calls fail`, async () => {
    const first = Number(process.env["FAULT_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
    console.log(`  FAULT_SEED=${first}`);
    await ride(undefined); // what the process itself opens at its first use of anything
    const before = descriptors();
    const rounds = Array.from({ length: ROUNDS }, async (_, round) => {
      const random = randomOf(first + round);
      const io = await ride(() =>
        random() < rate ? FAULTS[Math.floor(random() * FAULTS.length)] : undefined,
      );
      assert.ok(io.calls("write") > 0);
    });
    await Promise.all(rounds);
    await expectDescriptors(before);
  });
}

rates.run();
