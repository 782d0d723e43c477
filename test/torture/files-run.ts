/**
 * Part of `make torture`: files under random changes, for TORTURE_SECONDS (600 unless given), each round with a seed of its own over
 * the library or over the daemon's client, in a cache that is too small and is opened anew now and then. A round that fails
 * is told with its seed and how to repeat it: TORTURE_SEED=N makes that round alone.
 */
import { randomInt } from "node:crypto";
import { inspect } from "node:util";
import { openAt, expectSound, MIB, withPlace } from "../support/temp-cache.js";
import { fsx } from "../model/fsx.js";
import { tellDone } from "../support/effort.js";
import { openServed } from "./served-cache.js";

const SECONDS = 600;
const STEPS = 3000;
const REOPEN_EVERY = 250;
/** The files of a round hold up to 15 MiB. */
const FILES = 12;
const CAPACITY_MIB = [4, 5, 6, 12];
const SEED_END = 2 ** 32;
/** More than this tells nothing new. */
const FAILURES_MAX = 10;

/** All of a round follows from its seed, but for the moment at which its time is over. */
async function round(seed: number, until: () => boolean): Promise<string> {
  const capacityMib = CAPACITY_MIB[Math.floor(seed / 2) % CAPACITY_MIB.length] as number;
  const served = seed % 2 === 1;
  const place = `${served ? "the client" : "the library"}, ${capacityMib} MiB`;
  console.log(`seed ${seed}: ${place}`);
  let told = "";
  await withPlace(async (directory) => {
    const openHere = () => openAt(directory, { capacityBytes: capacityMib * MIB });
    const open = served ? async () => openServed(await openHere()) : openHere;
    const limits = { steps: STEPS, until, files: FILES, crowded: true, reopenEvery: REOPEN_EVERY };
    const { steps, right, missing } = await fsx({ seed, open, ...limits });
    await expectSound(directory);
    told = `${steps} steps, ${Math.round(right / MIB)} MiB right, ${Math.round(missing / MIB)} MiB missing`;
  });
  return told;
}

function numberOf(name: string, least: number, most: number): number | undefined {
  const text = process.env[name];
  if (text === undefined || text === "") return undefined;
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least && value <= most) return value;
  console.error(`torture: ${name} is ${JSON.stringify(text)}, want a whole number from ${least} to ${most}`);
  process.exit(64);
}

const seconds = numberOf("TORTURE_SECONDS", 1, 1_000_000) ?? SECONDS;
const onlySeed = numberOf("TORTURE_SEED", 0, SEED_END - 1);
const endMs = performance.now() + seconds * 1000;
const isOver = (): boolean => performance.now() >= endMs;

let passed = 0;
let failed = 0;
do {
  // Library and client take turns.
  const seed = onlySeed ?? randomInt(SEED_END / 2) * 2 + ((passed + failed) % 2);
  try {
    console.log(`  ${await round(seed, onlySeed === undefined ? isOver : () => false)}`);
    passed += 1;
  } catch (error) {
    failed += 1;
    console.log(`  FAILED: ${inspect(error)}\n  again: TORTURE_SEED=${seed} make torture`);
  }
} while (onlySeed === undefined && failed < FAILURES_MAX && !isOver());
tellDone(passed + failed, "rounds of random changes of files");
process.exitCode = failed > 0 ? 1 : 0;
console.log(`\n${passed} passed, ${failed} failed`);
