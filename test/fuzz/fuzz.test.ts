/**
 * Bytes that are almost right, for everything that reads what others wrote: each is read or refused by a code, within a
 * second, and leaves nothing in memory. Some thousands here, 1,000,000 in make torture. FUZZ_SEED repeats a run.
 */
import assert from "node:assert/strict";
import fs from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { inspect } from "node:util";
import { suite } from "uvu";
import { startTestServer } from "../daemon/with-server.js";
import { RawClient } from "../daemon/raw-client.js";
import { goldenFrames } from "../daemon/golden-frames.js";
import { roundsOf, tellDone } from "../support/effort.js";
import { usedBytes } from "../support/used-bytes.js";
import { randomOf } from "../support/temp-cache.js";
import { almost } from "./mutate.js";
import { type Target, isRefusal, targets } from "./targets.js";

const fuzz = suite("fuzz");
const EFFORT = roundsOf(1);
const CASES = EFFORT > 1 ? 100_000 * EFFORT : 12_000;
/** Of the cases that go through a file, and of those that go through a socket. */
const SLOW_SHARE = 20;
/** Of the processor's time: a busy machine stops us now and then, for seconds. */
const CASE_MS_MAX = 1000;
/** By the clock, and each time, for what waits without computing. */
const WAIT_MS_MAX = 10_000;
const TRIES = 3;
/** What an answer beside almost right frames may take: long, since the machine may be busy. */
const FRAMES_MS_MAX = 30_000;
const GROWTH_BYTES_MAX = 4 * 1024 * 1024;
const seed = Number(process.env["FUZZ_SEED"] ?? Math.floor(Math.random() * 2 ** 31));

/** What once was read wrongly, and has to be read right for ever: the name of a target and the bytes. */
const KEPT: ReadonlyArray<readonly [target: string, hex: string]> = [
  // Arrays that say they have 8 million elements, and 65,535 in each other: both took memory first.
  ["records", "0195d30088ec477c2ed177578e05dd0080000195d3000080000000000003cd03e8c403c0ffeec0"],
  ["records", `01${"dcffff".repeat(400)}`],
];

function readOne(target: Target, bytes: Buffer, what: string, tries = TRIES): void {
  const beganMs = performance.now();
  const before = process.cpuUsage();
  try {
    target.read(bytes);
  } catch (error) {
    if (!isRefusal(error))
      throw new Error(`${what}: ${bytes.toString("hex")}: ${inspect(error)}`, { cause: error });
  }
  const tookMs = performance.now() - beganMs;
  if (tookMs < CASE_MS_MAX) return;
  const { user, system } = process.cpuUsage(before);
  const usedMs = (user + system) / 1000;
  assert.ok(usedMs < CASE_MS_MAX, `${what} took ${usedMs} ms of the processor: ${bytes.toString("hex")}`);
  if (tookMs >= WAIT_MS_MAX && tries > 1) return readOne(target, bytes, what, tries - 1);
  assert.ok(tookMs < WAIT_MS_MAX, `${what} took ${tookMs} ms: ${bytes.toString("hex")}`);
}

function inDirectory<T>(body: (directory: string) => T): T {
  const directory = fs.mkdtempSync(path.join(tmpdir(), "tagcache-fuzz-"));
  try {
    return body(directory);
  } finally {
    fs.rmSync(directory, { recursive: true, force: true });
  }
}

fuzz(`reads or refuses ${CASES} cases of almost right bytes`, () => {
  console.log(`  FUZZ_SEED=${seed}`);
  inDirectory((directory) => {
    const all = targets(directory);
    let done = 0;
    for (const [name, hex] of KEPT) {
      readOne(all.find((target) => target.name === name) as Target, Buffer.from(hex, "hex"), `kept ${name}`);
    }
    const weights = all.map((target) => (target.slow === true ? 1 / SLOW_SHARE : 1));
    const sum = weights.reduce((total, weight) => total + weight, 0);
    for (const [place, target] of all.entries()) {
      const random = randomOf(seed + place);
      const cases = Math.ceil((CASES * (weights[place] as number)) / sum);
      const half = Math.floor(cases / 2);
      let before = 0;
      for (let number = 0; number < cases; number += 1) {
        if (number === half) before = usedBytes();
        readOne(target, almost(random, target.samples), `${target.name}, FUZZ_SEED=${seed}, case ${number}`);
      }
      done += cases;
      const growth = usedBytes() - before;
      assert.ok(
        growth < GROWTH_BYTES_MAX,
        `${target.name}: memory grew by ${growth} bytes over ${cases - half} cases`,
      );
    }
    tellDone(done, "fuzz cases");
  });
});

fuzz("a daemon that gets almost right frames answers the others all the time", async () => {
  const server = await startTestServer();
  try {
    const samples = Object.values(goldenFrames()).map((hex) => Buffer.from(hex, "hex"));
    const random = randomOf(seed);
    const client = await server.connect(FRAMES_MS_MAX);
    let before = 0;
    const connections = Math.ceil(CASES / SLOW_SHARE / 16);
    for (let number = 0; number < connections; number += 1) {
      if (number === Math.floor(connections / 2)) before = usedBytes();
      const raw = new RawClient(server.socketPath);
      raw.socket.write(samples[0] as Buffer); // hello
      for (let frame = 0; frame < 16 && !raw.closed; frame += 1) raw.socket.write(almost(random, samples));
      await new Promise<void>((resolve) => setImmediate(resolve));
      raw.socket.destroy();
      const answer = await client.get({ fs: "f", volume: "v", inode: "i", block: 0 });
      const what = `connection ${number}, FUZZ_SEED=${seed}`;
      assert.equal(answer.kind, "miss", what); // and no bypass for want of an answer in time
    }
    tellDone(16 * connections, "almost right frames");
    const growth = usedBytes() - before;
    assert.ok(growth < GROWTH_BYTES_MAX, `memory grew by ${growth} bytes`);
    await client.close();
  } finally {
    await server.done();
  }
});

fuzz.run();
