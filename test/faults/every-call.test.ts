/**
 * Each kind of trouble at each single call on slot files, one at a time: here some by chance, in make torture all of them.
 */
import assert from "node:assert/strict";
import { inspect } from "node:util";
import { suite } from "uvu";
import { roundsOf } from "../support/effort.js";
import type { Fault, Operation } from "../support/faulty-io.js";
import { randomOf } from "../support/temp-cache.js";
import { usedBytes } from "../support/used-bytes.js";
import { descriptors, expectDescriptors, ride } from "./ride.js";

const everyCall = suite("trouble at each call");

const KINDS: Readonly<Record<Operation, readonly Fault[]>> = {
  openSync: [{ errno: "EIO" }, { errno: "EMFILE" }, { errno: "EROFS" }],
  open: [{ errno: "EIO" }, { errno: "EMFILE" }, { errno: "ENOSPC" }, { errno: "EROFS" }],
  closeSync: [{ errno: "EIO" }],
  readSync: [{ errno: "EIO" }, { bytesMax: 1 }, { bytesMax: 0 }],
  read: [{ errno: "EIO" }, { bytesMax: 1 }, { bytesMax: 0 }],
  write: [{ errno: "EIO" }, { errno: "ENOSPC" }, { errno: "EROFS" }, { bytesMax: 1 }, { bytesMax: 0 }],
  fdatasync: [{ errno: "EIO" }, { errno: "ENOSPC" }, { errno: "EROFS" }],
  ftruncate: [{ errno: "EIO" }, { errno: "ENOSPC" }, { errno: "EROFS" }],
  fstatSync: [{ errno: "EIO" }],
  lstatSync: [{ errno: "EIO" }],
  unlink: [{ errno: "EIO" }, { errno: "EROFS" }],
};
const SAMPLE = 16;
const EFFORT = roundsOf(1);
/** From the middle of all rides to their end. */
const GROWTH_BYTES_MAX = 4 * 1024 * 1024;

interface Case {
  readonly operation: Operation;
  readonly call: number;
  readonly fault: Fault;
}

everyCall("a fault at one call is a bypass or an error, and all is right after it", async () => {
  const calm = await ride(undefined);
  const cases: Case[] = [];
  for (const [name, faults] of Object.entries(KINDS)) {
    const operation = name as Operation;
    for (let call = 1; call <= calm.calls(operation); call += 1) {
      for (const fault of faults) cases.push({ operation, call, fault });
    }
  }
  const seed = Number(process.env["FAULT_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
  console.log(`  ${cases.length} cases; FAULT_SEED=${seed}`);
  const random = randomOf(seed);
  const chosen =
    EFFORT > 1
      ? cases
      : Array.from({ length: SAMPLE }, () => cases[Math.floor(random() * cases.length)] as Case);
  const opened = descriptors();
  let before = 0;
  for (const [number, { operation, call, fault }] of chosen.entries()) {
    if (number === Math.floor(chosen.length / 2)) before = usedBytes();
    try {
      await ride((name, number) => (name === operation && number === call ? fault : undefined));
      await expectDescriptors(opened);
    } catch (error) {
      const what = `call ${call} of ${operation}: ${JSON.stringify(fault)}`;
      throw new Error(`${what}: ${inspect(error)}`, { cause: error });
    }
  }
  const growth = usedBytes() - before;
  assert.ok(growth < GROWTH_BYTES_MAX, `memory grew by ${growth} bytes`);
});

everyCall.run();
