import assert from "node:assert/strict";
import { randomFillSync } from "node:crypto";
import { suite } from "uvu";
import { GROUP_BYTES, SLOT_BYTES, SLOT_GROUPS } from "../../../index/core/layout.js";
import { Checksummer } from "../../../engine/slots/checksums.js";
import { randomOf } from "../../support/temp-cache.js";

const checksums = suite("group checksums");

checksums("any one flipped bit in any run of groups is found, in its group, and nothing else is", () => {
  const chance = randomOf(20);
  const random = () => Math.floor(chance() * 2 ** 32);
  for (let round = 0; round < 60; round += 1) {
    const checksummer = new Checksummer(randomFillSync(Buffer.alloc(16)));
    const tenancy = { objectId: random() * 1000 + 1, block: random(), epoch: random(), sequence: random() };
    const validBytes = round % 3 === 0 ? SLOT_BYTES : 1 + (random() % SLOT_BYTES);
    const bytes = randomFillSync(Buffer.alloc(validBytes));
    const sums = checksummer.sums(tenancy, bytes);
    const firstGroup = random() % Math.ceil(validBytes / GROUP_BYTES);
    const groups = 1 + (random() % (SLOT_GROUPS - firstGroup));
    const part = bytes.subarray(firstGroup * GROUP_BYTES, (firstGroup + groups) * GROUP_BYTES);
    assert.equal(checksummer.firstBad(tenancy, sums, firstGroup, part), undefined);
    const at = random() % part.length;
    const bit = 1 << (random() % 8);
    part[at] = (part[at] as number) ^ bit;
    const bad = firstGroup + Math.floor(at / GROUP_BYTES);
    assert.equal(checksummer.firstBad(tenancy, sums, firstGroup, part), bad);
    part[at] = (part[at] as number) ^ bit;
    const other = { ...tenancy, sequence: tenancy.sequence + 1 };
    assert.equal(checksummer.firstBad(other, sums, firstGroup, part), firstGroup);
  }
});

checksums("groups that changed places are found", () => {
  const checksummer = new Checksummer(Buffer.alloc(16, 7));
  const tenancy = { objectId: 5, block: 6, epoch: 7, sequence: 8 };
  const bytes = randomFillSync(Buffer.alloc(SLOT_BYTES));
  const sums = checksummer.sums(tenancy, bytes);
  const swapped = Buffer.concat([
    bytes.subarray(GROUP_BYTES, 2 * GROUP_BYTES),
    bytes.subarray(0, GROUP_BYTES),
    bytes.subarray(2 * GROUP_BYTES),
  ]);
  assert.equal(checksummer.firstBad(tenancy, sums, 0, swapped), 0);
});

checksums.run();
