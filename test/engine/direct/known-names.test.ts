import assert from "node:assert/strict";
import { suite } from "uvu";
import type { Resolution } from "../../../engine/direct-api.js";
import { KnownNames } from "../../../engine/direct/known-names.js";
import type { Noticed } from "../../../engine/direct/lookup-format.js";

const known = suite("what a direct reader knows of names");

const INSTANCE = 77n;

function resolution(objectId: number, volumeId: number, changes: Partial<Resolution> = {}): Resolution {
  return { objectId, volumeId, stamp: 5, ranges: [], instance: INSTANCE, notices: 0, ...changes };
}

/** Three files in two volumes, the first of them learnt twice. */
function threeFiles(names = new KnownNames({ instance: INSTANCE, notices: 0 })) {
  const files = [resolution(1, 10), resolution(1, 10), resolution(2, 10), resolution(3, 20)];
  const learnt = files.map((file) => names.adopt(file));
  return { names, valid: () => learnt.map((file) => file?.valid) };
}

known("a notice about a file is about that file alone, however often it was learnt", () => {
  const { names, valid } = threeFiles();
  names.follow(1, [{ kind: "object", id: 1 }]);
  assert.deepEqual(valid(), [false, false, true, true]);
});

known("a notice about a volume is about all of its files", () => {
  const { names, valid } = threeFiles();
  names.follow(1, [{ kind: "volume", id: 10 }]);
  assert.deepEqual(valid(), [false, false, false, true]);
});

known("a notice about everything leaves nothing", () => {
  const { names, valid } = threeFiles();
  names.follow(1, [{ kind: "all" }]);
  assert.deepEqual(valid(), [false, false, false, false]);
});

known("an id of a file means no volume, and the other way round", () => {
  const { names, valid } = threeFiles();
  names.follow(2, [
    { kind: "object", id: 10 },
    { kind: "volume", id: 1 },
  ]);
  assert.deepEqual(valid(), [true, true, true, true]);
});

known("only notices that are new count, and 24 of them can be followed", () => {
  const { names } = threeFiles();
  const latest = Array.from({ length: 24 }, (_, place): Noticed => ({ kind: "object", id: 100 + place }));
  names.follow(24, latest);
  const learnt = names.adopt(resolution(100, 10, { notices: 24 }));
  names.follow(24, latest);
  assert.equal(learnt?.valid, true, "they were followed before it was learnt");
  names.follow(25, [...latest.slice(1), { kind: "object", id: 999 }]);
  assert.equal(learnt?.valid, true);
});

known("whoever missed more notices than the header holds knows nothing any more", () => {
  const latest = Array.from({ length: 24 }, (_, place): Noticed => ({ kind: "object", id: 100 + place }));
  const whole = threeFiles();
  whole.names.follow(24, latest);
  assert.deepEqual(whole.valid(), [true, true, true, true]);
  const missed = threeFiles();
  missed.names.follow(25, latest);
  assert.deepEqual(missed.valid(), [false, false, false, false]);
});

known("takes up nothing that is of before a notice, of another file, or unsound", () => {
  const names = new KnownNames({ instance: INSTANCE, notices: 3 });
  assert.equal(names.adopt(resolution(1, 10, { notices: 2 })), undefined);
  assert.equal(names.adopt(resolution(1, 10, { notices: 3, instance: 78n })), undefined);
  assert.equal(names.adopt(resolution(2 ** 48, 10, { notices: 3 })), undefined);
  assert.equal(names.adopt(resolution(1, 10, { notices: 3, stamp: 2 ** 48 })), undefined);
  // Of a notice that this reader has not seen yet: it is of after it.
  assert.equal(names.adopt(resolution(1, 10, { notices: 4 }))?.valid, true);
});

known("a range of blocks has a stamp of its own, if it is the higher one", () => {
  const names = new KnownNames({ instance: INSTANCE, notices: 0 });
  const ranges = [
    { firstBlock: 4, endBlock: 8, stamp: 9 },
    { firstBlock: 6, endBlock: 7, stamp: 12 },
    { firstBlock: 0, endBlock: 2, stamp: 3 },
  ];
  const file = names.adopt(resolution(1, 10, { ranges }));
  assert.deepEqual(
    [0, 3, 4, 6, 7, 8].map((block) => file?.stampOf(block)),
    [5, 5, 9, 12, 9, 5],
  );
});

known("what is forgotten is valid no more and leaves what others learnt of the same file", () => {
  const names = new KnownNames({ instance: INSTANCE, notices: 0 });
  const [one, other] = [names.adopt(resolution(1, 10)), names.adopt(resolution(1, 10))];
  assert.ok(one !== undefined && other !== undefined);
  names.forget(one);
  assert.deepEqual([one.valid, other.valid], [false, true]);
  names.follow(1, [{ kind: "object", id: 1 }]);
  assert.equal(other.valid, false);
});

known("knows nothing and learns nothing once it is closed", () => {
  const { names, valid } = threeFiles();
  names.close();
  assert.deepEqual(valid(), [false, false, false, false]);
  assert.equal(names.adopt(resolution(1, 10)), undefined);
});

known.run();
