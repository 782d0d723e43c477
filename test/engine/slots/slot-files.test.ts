import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { suite } from "uvu";
import { SLOT_BYTES } from "../../../index/core/layout.js";
import { descriptorsMax } from "../../../engine/descriptors.js";
import { SlotFiles } from "../../../engine/slots/slot-files.js";
import { SLOTS_PER_DIRECTORY, slotNumbersFound, slotPath } from "../../../engine/slots/slot-paths.js";
import { FaultyIo } from "../../support/faulty-io.js";
import { bytesOf, openAt, startOf, store, tagOf, withCode, withPlace } from "../../support/temp-cache.js";

const files = suite("slot files");

async function withFiles(
  descriptors: number,
  body: (files: SlotFiles, root: string, io: FaultyIo) => Promise<void>,
): Promise<void> {
  await withPlace(async (root) => {
    fs.mkdirSync(root);
    const io = new FaultyIo();
    const opened = new SlotFiles({ root, descriptorsMax: descriptors, io });
    await body(opened, root, io);
    opened.close();
    assert.equal(opened.openDescriptors, 0);
  });
}

files("no more descriptors are open than allowed, however many slots are used", async () => {
  await withFiles(8, async (opened) => {
    const target = Buffer.alloc(10);
    for (let slot = 0; slot < 50; slot += 1) await opened.write(slot, bytesOf(slot, 10), true);
    for (let turn = 0; turn < 200; turn += 1) {
      const slot = (turn * 7) % 50;
      if (turn % 2 === 0) opened.readSync(slot, target, 0);
      else await opened.read(slot, target, 0);
      assert.ok(target.equals(bytesOf(slot, 10)));
      assert.ok(opened.openDescriptors <= 8);
    }
    assert.equal(opened.openDescriptors, 8);
  });
});

files("a descriptor in use is not closed for another slot", async () => {
  await withFiles(1, async (opened, _, io) => {
    for (let slot = 0; slot < 4; slot += 1) await opened.write(slot, bytesOf(slot, 10), true);
    const hold = io.hold("read", 4);
    const targets = [0, 1, 2, 3].map(() => Buffer.alloc(10));
    const reads = targets.map((target, slot) => opened.read(slot, target, 0));
    await hold.reached;
    const sync = Buffer.alloc(10);
    for (let slot = 0; slot < 4; slot += 1) opened.readSync(slot, sync, 0);
    hold.release();
    await Promise.all(reads);
    for (const [slot, target] of targets.entries()) assert.ok(target.equals(bytesOf(slot, 10)));
  });
});

files("two calls on a slot that is not open share one descriptor", async () => {
  await withFiles(8, async (opened, _, io) => {
    await opened.write(0, bytesOf(0, 10), true);
    opened.forget(0);
    const before = io.calls("open");
    const [one, two] = [Buffer.alloc(10), Buffer.alloc(10)];
    await Promise.all([opened.read(0, one, 0), opened.read(0, two, 0)]);
    assert.equal(io.calls("open"), before + 1);
    assert.equal(opened.openDescriptors, 1);
  });
});

files("a new slot's file must not be there yet, and is not written to if it is", async () => {
  await withFiles(8, async (opened, root) => {
    fs.mkdirSync(path.dirname(slotPath(root, 3)));
    fs.writeFileSync(slotPath(root, 3), "somebody's");
    await assert.rejects(opened.write(3, bytesOf(0, 10), true), withCode("E_IO", /EEXIST/));
    assert.equal(fs.readFileSync(slotPath(root, 3), "latin1"), "somebody's");
  });
});

files("a file in the place of a directory of slots is an error, not a crash", async () => {
  await withFiles(8, async (opened, root) => {
    fs.writeFileSync(path.join(root, "0"), "");
    await assert.rejects(opened.write(3, bytesOf(0, 10), true), withCode("E_IO"));
  });
});

files("files and directories are for their owner alone", async () => {
  await withFiles(8, async (opened, root) => {
    await opened.write(0, bytesOf(0, 10), true);
    assert.equal(fs.statSync(slotPath(root, 0)).mode & 0o777, 0o600);
    assert.equal(fs.statSync(path.dirname(slotPath(root, 0))).mode & 0o777, 0o700);
  });
});

files("slots lie a few thousand to a directory, and the highest number is found again", async () => {
  await withFiles(8, async (opened, root) => {
    assert.equal(slotNumbersFound(root), 0);
    assert.equal(
      slotPath(root, SLOTS_PER_DIRECTORY + 5),
      path.join(root, "1", String(SLOTS_PER_DIRECTORY + 5)),
    );
    for (const slot of [0, 1, SLOTS_PER_DIRECTORY, SLOTS_PER_DIRECTORY + 7]) {
      await opened.write(slot, bytesOf(0, 10), true);
      assert.equal(slotNumbersFound(root), slot + 1);
    }
    for (const name of ["CACHEDIR.TAG", "1/x", "1/08000", "1/-1", "1/1e9"])
      fs.writeFileSync(path.join(root, name), "");
    assert.equal(slotNumbersFound(root), SLOTS_PER_DIRECTORY + 8);
  });
});

files("names that no slot can have do not count, however large their number", async () => {
  await withFiles(8, async (opened, root) => {
    await opened.write(2, bytesOf(0, 10), true);
    fs.writeFileSync(path.join(root, "0", "9999999999"), "");
    fs.writeFileSync(path.join(root, "0", String(SLOTS_PER_DIRECTORY)), "");
    assert.equal(slotNumbersFound(root), 3);
    fs.mkdirSync(path.join(root, "20240131"));
    fs.mkdirSync(path.join(root, "9999999999"));
    assert.equal(slotNumbersFound(root), 3);
  });
});

files("a start after an unclean end is not held up by strangers among the slots", async () => {
  await withPlace(async (directory) => {
    const cache = await openAt(directory);
    await store(cache, tagOf(0), bytesOf(0, SLOT_BYTES));
    await cache.close();
    fs.rmSync(path.join(directory, "checkpoint"));
    fs.mkdirSync(path.join(directory, "slots", "20240131"));
    fs.writeFileSync(path.join(directory, "slots", "0", "4000000000"), "");
    fs.writeFileSync(path.join(directory, "slots", "0", "1"), "a slot that was never finished");
    const next = await openAt(directory);
    assert.equal((await next.status()).slots.total, 2);
    await next.close();
    assert.equal((await startOf(directory)).kind, "clean");
  });
});

files("a quarter of the descriptors of the process are for slots, within bounds", () => {
  const text = (soft: string) =>
    `Limit  Soft Limit  Hard Limit  Units\nMax open files  ${soft}  524288  files\n`;
  assert.equal(descriptorsMax(text("1024")), 256);
  assert.equal(descriptorsMax(text("20")), 64);
  assert.equal(descriptorsMax(text("unlimited")), 16_384);
  assert.equal(descriptorsMax(text("10000000")), 16_384);
  assert.equal(descriptorsMax(""), 16_384);
});

files.run();
