import assert from "node:assert/strict";
import { suite } from "uvu";
import { CacheError } from "../../index/core/errors.js";
import { DriveHealth, PROBES_GOOD, SICK_SLOTS, SICK_WINDOW_MS } from "../../engine/drive-health.js";
import { pause, until } from "../support/temp-cache.js";

const health = suite("health of the drive");

function failure(errno: string): CacheError {
  return new CacheError("E_IO", "Cannot read", { cause: Object.assign(new Error(errno), { code: errno }) });
}

function begin(probe: () => Promise<void> = () => Promise.resolve(), probeEveryMs = 5) {
  const clock = { nowMs: 1_000_000 };
  const log: string[] = [];
  const drive = new DriveHealth({
    now: () => clock.nowMs,
    log: (level, message) => level !== "debug" && log.push(`${level}: ${message}`),
    probe,
    probeEveryMs,
  });
  return { drive, clock, log };
}

health("errors on three different slots within the window make it sick, and it says so once", async () => {
  const { drive, clock, log } = begin(() => Promise.reject(failure("EIO")));
  for (const slot of [1, 1, 1, 2, 2]) drive.noteError(slot, failure("EIO"));
  assert.equal(drive.sick, false, "the same slots again");
  assert.equal(drive.status().slots, 2);
  clock.nowMs += SICK_WINDOW_MS;
  drive.noteError(3, failure("EIO"));
  assert.equal(drive.sick, false, "the others were too long ago");
  assert.equal(drive.status().slots, 1);
  drive.noteError(4, failure("EROFS"));
  drive.noteError(5, failure("EIO"));
  assert.equal(drive.sick, true);
  for (let slot = 6; slot < 1000; slot += 1) drive.noteError(slot, failure("EIO"));
  const { state, times, errors, slots } = drive.status();
  assert.deepEqual({ state, times, errors, slots }, { state: "sick", times: 1, errors: 1002, slots: 3 });
  assert.deepEqual(log.length, 1, log.join());
  await drive.stop();
});

health("a full drive, a want of descriptors and files that were removed do not count", () => {
  const { drive } = begin();
  const others = ["ENOSPC", "EDQUOT", "EMFILE", "ENFILE", "ENOMEM", "ENOENT", "ELOOP"];
  for (const [slot, errno] of others.entries()) drive.noteError(slot, failure(errno));
  drive.noteError(20, new CacheError("E_IO", "Cannot read slot 20: its file ends at 5, want more"));
  drive.noteError(21, new Error("no errno"));
  assert.equal(drive.status().errors, 0);
});

health(
  "three good probes in a row make it well, one at a time, and bad ones begin the count anew",
  async () => {
    const answers = ["good", "good", "EIO", "good", "ENOSPC", "good"];
    let [probes, underWay, most] = [0, 0, 0];
    const { drive, log } = begin(async () => {
      const answer = answers[probes] ?? "good";
      probes += 1;
      underWay += 1;
      most = Math.max(most, underWay);
      await pause(20);
      underWay -= 1;
      if (answer !== "good") throw Object.assign(new Error(answer), { code: answer });
    });
    for (let slot = 0; slot < SICK_SLOTS; slot += 1) drive.noteError(slot, failure("EIO"));
    await until(() => !drive.sick);
    assert.deepEqual({ probes, most }, { probes: answers.length, most: 1 });
    assert.equal(drive.status().probesGood, PROBES_GOOD);
    assert.equal(drive.status().slots, 0, "what made it sick is forgotten");
    assert.deepEqual(
      log.map((line) => line.split(":")[0]),
      ["error", "info"],
    );
    drive.noteError(1, failure("EIO"));
    assert.equal(drive.sick, false);
    await drive.stop();
  },
);

health("a probe that hangs is not followed by another, and a stop waits for it", async () => {
  let release = (): void => undefined;
  let probes = 0;
  const { drive } = begin(() => {
    probes += 1;
    return new Promise((resolve) => (release = resolve));
  });
  for (let slot = 0; slot < SICK_SLOTS; slot += 1) drive.noteError(slot, failure("EIO"));
  await until(() => probes === 1);
  await pause(40);
  assert.equal(probes, 1);
  let stopped = false;
  const stopping = drive.stop().then(() => (stopped = true));
  await pause(10);
  assert.equal(stopped, false);
  release();
  await stopping;
  await pause(20);
  assert.equal(probes, 1, "no probe after a stop");
  drive.resume();
  await until(() => probes === 2);
  release();
  await drive.stop();
});

health.run();
