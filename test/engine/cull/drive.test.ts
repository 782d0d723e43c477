import assert from "node:assert/strict";
import { suite } from "uvu";
import { PAGE_BYTES } from "../../../index/core/layout.js";
import {
  DRIVE_FREE_SHARE_MIN,
  Drive,
  type DriveSpace,
  FULL_PAUSE_MS,
  driveSpace,
} from "../../../engine/cull/drive.js";

const drive = suite("free space of the drive");

const TOTAL_PAGES = 10_000;
const FLOOR_PAGES = TOTAL_PAGES * DRIVE_FREE_SHARE_MIN;

/** A drive of 10,000 pages and inodes whose free space and clock the test sets. */
function made(space: { pages?: number; inodes?: number; totalInodes?: number }) {
  const state = { nowMs: 0, looks: 0, pages: 5000, inodes: 5000, totalInodes: TOTAL_PAGES, ...space };
  const look = (): DriveSpace => {
    state.looks += 1;
    return {
      totalBytes: TOTAL_PAGES * PAGE_BYTES,
      availableBytes: state.pages * PAGE_BYTES,
      totalInodes: state.totalInodes,
      availableInodes: state.inodes,
    };
  };
  return { state, drive: new Drive({ look, now: () => state.nowMs }) };
}

drive("nothing is allowed that would leave less than 3 % of the bytes", () => {
  const { drive: at } = made({ pages: FLOOR_PAGES + 64 });
  assert.equal(at.allows(64, 1), true);
  assert.equal(at.allows(65, 1), false);
  assert.equal(at.allows(0, 0), true);
});

drive("nothing is allowed that would leave less than 3 % of the inodes", () => {
  const { drive: at } = made({ inodes: FLOOR_PAGES + 1 });
  assert.equal(at.allows(64, 1), true);
  assert.equal(at.allows(1, 2), false);
});

drive("a file system without a number of inodes has enough of them", () => {
  assert.equal(made({ inodes: 0, totalInodes: 0 }).drive.allows(1, 1), true);
});

drive("what was granted since the last look counts as gone, until the next look", () => {
  const { drive: at, state } = made({ pages: FLOOR_PAGES + 100, inodes: FLOOR_PAGES + 3 });
  assert.equal(at.allows(60, 1), true);
  at.granted(60, 1);
  assert.equal(at.allows(60, 1), false);
  assert.equal(at.allows(40, 2), true);
  assert.equal(at.allows(40, 3), false);
  assert.equal(state.looks, 1);
  state.nowMs = 1000;
  assert.equal(at.allows(60, 3), true);
  assert.equal(state.looks, 2);
});

drive("a drive that said it is full allows nothing for a while, and is then looked at again", () => {
  const { drive: at, state } = made({});
  assert.equal(at.allows(1, 1), true);
  at.noteFull();
  state.nowMs = FULL_PAUSE_MS - 1;
  assert.equal(at.allows(0, 0), false);
  state.nowMs = FULL_PAUSE_MS;
  assert.equal(at.allows(1, 1), true);
});

drive("space that others take is seen within a second", () => {
  const { drive: at, state } = made({});
  assert.equal(at.allows(1, 1), true);
  state.pages = 0;
  state.nowMs = 1000;
  assert.equal(at.allows(1, 1), false);
});

drive("the real drive has some of everything", () => {
  const space = driveSpace("/tmp");
  assert.ok(space.totalBytes >= space.availableBytes && space.availableBytes > 0);
  assert.ok(space.totalInodes >= space.availableInodes);
});

drive.run();
