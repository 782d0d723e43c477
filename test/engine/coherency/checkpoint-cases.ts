/** The checkpoint whose bytes are in fixtures/checkpoint.hex; run by itself, prints them. */
import fs from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { type Checkpoint, writeCheckpoint } from "../../../engine/coherency/checkpoint.js";
import { STATE } from "../../../engine/slots/slot-table.js";

/** Six slots, one in each state that a clean stop leaves, two of them used. */
export function goldenCheckpoint(): Checkpoint {
  return {
    cacheId: Buffer.from("00112233445566778899aabbccddeeff", "hex"),
    epoch: 7,
    transactionId: 4711,
    checkpointId: 12,
    nextSequence: 2 ** 40 + 5,
    nextObjectId: 2 ** 33 + 1,
    nextVolumeId: 3,
    objects: 2,
    slots: {
      states: Uint8Array.of(
        STATE.used,
        STATE.free,
        STATE.quarantined,
        STATE.retired,
        STATE.used,
        STATE.unknown,
      ),
      pages: Uint8Array.of(64, 3, 17, 0, 1, 0),
      validBytes: Uint32Array.of(262_144, 0, 0, 0, 1, 0),
      ownerLow: Uint32Array.of(9, 0, 0, 0, 1, 0),
      ownerHigh: Uint16Array.of(2, 0, 0, 0, 0, 0),
      volumeLow: Uint32Array.of(2, 0, 0, 0, 0xffff_fffe, 0),
      volumeHigh: Uint16Array.of(0, 0, 0, 0, 1, 0),
      blockLow: Uint32Array.of(0xffff_ffff, 0, 0, 0, 5, 0),
      blockHigh: Uint16Array.of(0x1fff, 0, 0, 0, 0, 0),
    },
    order: Uint32Array.of(4, 0),
  };
}

/** What writeCheckpoint makes of it. */
export function checkpointBytes(checkpoint: Checkpoint): Buffer {
  const directory = fs.mkdtempSync(path.join(tmpdir(), "tagcache-test-"));
  try {
    const file = path.join(directory, "checkpoint");
    writeCheckpoint(file, checkpoint);
    return fs.readFileSync(file);
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
}

if (process.argv[1] === import.meta.filename) {
  const hex = checkpointBytes(goldenCheckpoint()).toString("hex");
  console.log(hex.replaceAll(/.{64}/g, "$&\n").trimEnd());
}
