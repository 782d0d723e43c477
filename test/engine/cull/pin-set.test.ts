import assert from "node:assert/strict";
import { suite } from "uvu";
import type { PinRecord } from "../../../index/ledger-pins.js";
import { PinSet } from "../../../engine/cull/pin-set.js";

const pinSet = suite("the set of pins");
const volume = { fs: Buffer.from("nfs"), volume: Buffer.from("v") };
const pinOf = (id: number, scope: PinRecord["scope"], name = ""): PinRecord => ({
  id,
  ...volume,
  scope,
  name: Buffer.from(name),
  epoch: 1,
});
const ownerOf = (inode: string) => ({ volume, inode: Buffer.from(inode), pinsVersion: -1, pinned: false });

pinSet("tells files that pins cover, and follows every change", () => {
  const pins = new PinSet();
  const owners = ["a", "tree/x", "tree", "treetop", ""].map(ownerOf);
  const covered = () => owners.filter((owner) => pins.covers(owner)).map(({ inode }) => inode.toString());
  assert.deepEqual(covered(), []);
  const [file, tree, whole] = [pinOf(1, "file", "a"), pinOf(2, "tree", "tree/"), pinOf(5, "volume")];
  pins.add(file);
  assert.deepEqual(covered(), ["a"]);
  pins.add(tree);
  assert.deepEqual(covered(), ["a", "tree/x"]);
  assert.equal(pins.coversAll(volume), false);
  pins.add(whole);
  assert.deepEqual(covered().length, owners.length);
  assert.equal(pins.coversAll(volume), true);
  assert.equal(pins.coversAll({ ...volume, volume: Buffer.from("other") }), false);
  pins.remove(whole);
  pins.remove(file);
  pins.remove(file);
  assert.deepEqual(covered(), ["tree/x"]);
  pins.remove(tree);
  assert.deepEqual(covered(), []);
  assert.deepEqual([pins.count, pins.nameBytes, pins.nextId], [0, 0, 6]);
});

pinSet("tells a file from a tree of the same name, and finds what stands", () => {
  const tree = pinOf(3, "tree", "a");
  const pins = new PinSet([tree]);
  assert.equal(pins.find(tree), tree);
  assert.equal(pins.find(pinOf(4, "file", "a")), undefined);
  const later = { ...tree, epoch: 9 };
  pins.add(later);
  assert.deepEqual([pins.count, pins.nameBytes, pins.all()], [1, 5, [later]]);
});

pinSet("has every file of a volume in a tree without a name", () => {
  const pins = new PinSet([pinOf(1, "tree")]);
  assert.equal(pins.coversAll(volume), true);
  assert.equal(pins.covers(ownerOf("x")), true);
});

pinSet.run();
