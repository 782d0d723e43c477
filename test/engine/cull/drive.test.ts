import assert from "node:assert/strict";
import { suite } from "uvu";
import { PAGE_BYTES } from "../../../index/core/layout.js";
import { THRESHOLDS } from "../../../engine/limits.js";
import { until } from "../../support/temp-cache.js";
import {
  Drive,
  type DriveSpace,
  FULL_PAUSE_MS,
  SILENT_MS_MAX,
  driveSpace,
  lookAtDrive,
} from "../../../engine/cull/drive.js";

const drive = suite("free space of the drive");

/** One percent is a hundred pages or inodes. */
const TOTAL_PAGES = 10_000;
const STOP_PAGES = 300;
const CULL_PAGES = 500;
const RUN_PAGES = 700;

/** A drive of 10,000 pages and inodes whose free space and clock the test sets. */
function made(space: { pages?: number; inodes?: number; totalInodes?: number }) {
  const state = { nowMs: 0, silent: false, pages: 5000, inodes: 5000, totalInodes: TOTAL_PAGES, ...space };
  const look = (): DriveSpace => ({
    totalBytes: TOTAL_PAGES * PAGE_BYTES,
    availableBytes: state.pages * PAGE_BYTES,
    totalInodes: state.totalInodes,
    availableInodes: state.inodes,
  });
  const later = async (): Promise<DriveSpace> => {
    if (state.silent) throw new Error("EIO");
    return look();
  };
  const options = { space: look(), look: later, thresholds: () => THRESHOLDS, now: () => state.nowMs };
  return { state, drive: new Drive(options) };
}

drive("nothing is allowed that would leave less than bstop of the bytes", () => {
  const { drive: at } = made({ pages: STOP_PAGES + 64 });
  assert.equal(at.allows(64, 1), true);
  assert.equal(at.allows(65, 1), false);
  assert.equal(at.allows(0, 0), true);
});

drive("nothing is allowed that would leave less than fstop of the inodes", () => {
  const { drive: at } = made({ inodes: STOP_PAGES + 1 });
  assert.equal(at.allows(64, 1), true);
  assert.equal(at.allows(1, 2), false);
});

drive("a file system without a number of inodes has enough of them", () => {
  const { drive: at } = made({ inodes: 0, totalInodes: 0 });
  assert.equal(at.allows(1, 1), true);
  assert.deepEqual(at.shortage(), { pages: 0, inodes: 0 });
});

drive("what was granted counts as gone until two looks have passed: the drive may show it late", async () => {
  const { drive: at } = made({ pages: STOP_PAGES + 100, inodes: STOP_PAGES + 3 });
  at.granted(60, 1);
  assert.equal(at.allows(41, 1), false);
  assert.equal(at.allows(40, 2), true);
  assert.equal(at.allows(40, 3), false);
  await at.refresh();
  assert.equal(at.allows(41, 1), false);
  await at.refresh();
  assert.equal(at.allows(100, 3), true);
});

drive("what is granted while the drive is being looked at counts on", async () => {
  const { drive: at } = made({ pages: STOP_PAGES + 100 });
  const looking = at.refresh();
  at.granted(60, 1);
  await looking;
  assert.equal(at.allows(41, 0), false);
});

drive("culling begins below bcull and ends at brun", async () => {
  const { drive: at, state } = made({ pages: CULL_PAGES });
  assert.deepEqual(at.shortage(), { pages: 0, inodes: 0 });
  assert.equal(at.status().state, "ok");
  state.pages = CULL_PAGES - 1;
  await at.refresh();
  assert.deepEqual(at.shortage(), { pages: RUN_PAGES - CULL_PAGES + 1, inodes: 0 });
  assert.equal(at.status().state, "culling");
  state.pages = RUN_PAGES - 1;
  await at.refresh();
  assert.deepEqual(at.shortage(), { pages: 1, inodes: 0 });
  at.released(1, 0);
  assert.deepEqual(at.shortage(), { pages: 0, inodes: 0 });
  state.pages = CULL_PAGES + 1;
  await at.refresh();
  assert.deepEqual(at.shortage(), { pages: 0, inodes: 0 }, "not before it is below bcull again");
});

drive("inodes have thresholds of their own", async () => {
  const { drive: at, state } = made({ inodes: CULL_PAGES - 100 });
  assert.deepEqual(at.shortage(), { pages: 0, inodes: 300 });
  state.inodes = STOP_PAGES - 1;
  await at.refresh();
  assert.equal(at.status().state, "stopped");
  state.inodes = RUN_PAGES;
  await at.refresh();
  assert.equal(at.status().state, "ok");
});

drive("a drive that said it is full allows nothing for a while", () => {
  const { drive: at, state } = made({});
  assert.equal(at.allows(1, 1), true);
  at.noteFull();
  state.nowMs = FULL_PAUSE_MS - 1;
  assert.equal(at.allows(0, 0), false);
  state.nowMs = FULL_PAUSE_MS;
  assert.equal(at.allows(1, 1), true);
});

drive("a drive that does not tell its space allows nothing after a while, and tells again", async () => {
  const { drive: at, state } = made({});
  state.silent = true;
  state.nowMs = SILENT_MS_MAX;
  await at.refresh();
  assert.equal(at.allows(1, 1), true);
  state.nowMs = SILENT_MS_MAX + 1;
  await at.refresh();
  assert.equal(at.allows(1, 1), false);
  state.silent = false;
  await at.refresh();
  assert.equal(at.allows(1, 1), true);
});

drive("space that others take is seen at the next look, and whoever watches is told", async () => {
  const { drive: at, state } = made({});
  let told = false;
  at.watch(() => (told = true));
  state.pages = 0;
  await until(() => told);
  at.stop();
  assert.equal(at.allows(1, 1), false);
});

drive("the real drive has some of everything", async () => {
  const space = driveSpace("/tmp");
  assert.ok(space.totalBytes >= space.availableBytes && space.availableBytes > 0);
  assert.ok(space.totalInodes >= space.availableInodes);
  assert.equal((await lookAtDrive("/tmp")).totalBytes, space.totalBytes);
});

drive.run();
