import assert from "node:assert/strict";
import fs from "node:fs";
import { suite } from "uvu";
import { SLOT_PAGES } from "../../../index/core/layout.js";
import { SlotFiles } from "../../../engine/slots/slot-files.js";
import { UNSYNCED_BYTES_MAX, UNSYNCED_SLOTS_MAX, WriteBack } from "../../../engine/slots/write-back.js";
import { FaultyIo } from "../../support/faulty-io.js";
import { pause, until, withPlace } from "../../support/temp-cache.js";

const writeBacks = suite("write-back");

interface Scene {
  readonly io: FaultyIo;
  readonly writeBack: WriteBack;
  readonly errors: number[];
  nowMs: number;
}

async function withWriteBack(slots: number, body: (scene: Scene) => Promise<void>): Promise<void> {
  await withPlace(async (root) => {
    fs.mkdirSync(root);
    const io = new FaultyIo();
    const files = new SlotFiles({ root, descriptorsMax: 16, io });
    const scene = { io, nowMs: 0, errors: [] as number[] };
    const writeBack = new WriteBack({
      files,
      now: () => scene.nowMs,
      onError: (slot) => scene.errors.push(slot),
    });
    for (let slot = 0; slot < slots; slot += 1) await files.write(slot, Buffer.from("x"), true);
    await body(Object.assign(scene, { writeBack }));
    writeBack.abandon();
    files.close();
  });
}

writeBacks("a slot is synced once its oldest write is a second old, not before, and once", async () => {
  await withWriteBack(2, async (scene) => {
    const { io, writeBack } = scene;
    writeBack.note(0, 1);
    scene.nowMs = 900;
    writeBack.note(0, 1);
    writeBack.note(1, 1);
    await pause(320);
    assert.equal(io.calls("fdatasync"), 0);
    scene.nowMs = 1001;
    await until(() => io.calls("fdatasync") === 1);
    await pause(320);
    assert.equal(io.calls("fdatasync"), 1);
    assert.equal(writeBack.unsyncedSlots, 1);
    scene.nowMs = 2000;
    await until(() => writeBack.unsyncedSlots === 0);
    assert.equal(io.calls("fdatasync"), 2);
  });
});

writeBacks("a drain syncs everything, whatever its age", async () => {
  await withWriteBack(20, async ({ io, writeBack }) => {
    for (let slot = 0; slot < 20; slot += 1) writeBack.note(slot, 1);
    await writeBack.drain();
    assert.equal(io.calls("fdatasync"), 20);
    assert.equal(writeBack.unsyncedSlots, 0);
    assert.equal(writeBack.failed, false);
  });
});

writeBacks("what was forgotten is not synced", async () => {
  await withWriteBack(2, async ({ io, writeBack }) => {
    writeBack.note(0, 1);
    writeBack.note(1, 1);
    writeBack.forget(0);
    writeBack.forget(0);
    await writeBack.drain();
    assert.equal(io.calls("fdatasync"), 1);
  });
});

writeBacks("a failed sync is told and remembered, the others go on", async () => {
  await withWriteBack(3, async ({ io, writeBack, errors }) => {
    io.fail("fdatasync", "EIO");
    for (let slot = 0; slot < 3; slot += 1) writeBack.note(slot, 1);
    await writeBack.drain();
    assert.equal(io.calls("fdatasync"), 3);
    assert.deepEqual(errors, [0]);
    assert.equal(writeBack.failed, true);
  });
});

writeBacks("past the bound on bytes a writer waits until the drive has caught up", async () => {
  await withWriteBack(4, async ({ io, writeBack }) => {
    await writeBack.admit();
    const hold = io.hold("fdatasync", 2);
    const pages = UNSYNCED_BYTES_MAX / 4096 / 4;
    for (let slot = 0; slot < 4; slot += 1) writeBack.note(slot, pages);
    let admitted = false;
    const waiting = writeBack.admit().then(() => (admitted = true));
    await hold.reached;
    await pause(20);
    assert.equal(admitted, false);
    hold.release();
    await waiting;
  });
});

writeBacks("past the bound on slots a writer waits, and a slot written again counts once", async () => {
  await withWriteBack(1, async ({ io, writeBack, errors }) => {
    for (let turn = 0; turn < UNSYNCED_SLOTS_MAX + 1; turn += 1) writeBack.note(0, SLOT_PAGES);
    await writeBack.admit();
    assert.equal(io.calls("fdatasync"), 0);
    for (let slot = 1; slot < UNSYNCED_SLOTS_MAX; slot += 1) writeBack.note(slot, 1);
    await writeBack.admit();
    assert.ok(io.calls("fdatasync") > 0);
    writeBack.abandon();
    assert.ok(errors.length < UNSYNCED_SLOTS_MAX);
  });
});

writeBacks.run();
