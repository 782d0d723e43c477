import assert from "node:assert/strict";
import { suite } from "uvu";
import { statusFields } from "../../cli/commands/status.js";
import type { CacheStatus } from "../../engine/cache.js";
import { MemoryCache } from "../model/memory-cache.js";

const test = suite("status as text");
const GIB = 1024 ** 3;

async function linesOf(changes: Partial<CacheStatus>): Promise<string[]> {
  const status = { ...(await new MemoryCache().status()), directory: "/var/cache/tagcache", ...changes };
  return statusFields(status).map(([name, value]) => `${name.padEnd(9)}  ${value}`);
}

test("shows headroom, drive and shares, within 100 columns", async () => {
  const drive = {
    state: "culling",
    totalBytes: 100 * GIB,
    availableBytes: 4.96 * GIB,
    totalInodes: 6_553_600,
    availableInodes: 655_360,
  } as const;
  const lines = await linesOf({
    headroom: { slots: 128, bytes: 32 * 1024 * 1024 },
    drive,
    notCulled: { inUse: 1234, pinned: 0 },
    shares: [
      { fs: "afs", minBytes: GIB, maxBytes: 5 * GIB, usedBytes: 1.5 * GIB },
      { fs: "nfs", volume: "v".repeat(300), maxBytes: 1023 * GIB, usedBytes: 1023 * GIB },
    ],
  });
  assert.ok(lines.includes("headroom   32.0 MiB and 128 slots are kept ready for writers"));
  assert.ok(lines.includes("drive      culling, 5.0 % of 100.0 GiB available, 10.0 % of 6,553,600 inodes"));
  assert.ok(lines.includes("shares     afs: 1.5 GiB used, at least 1.0 GiB, at most 5.0 GiB"));
  assert.ok(lines.includes(`           nfs/${"v".repeat(35)}…: 1023.0 GiB used, at most 1023.0 GiB`));
  assert.ok(lines.some((line) => line.endsWith("0 blocks culled (1,234 times one was in use), 0 corrupt")));
  for (const line of lines) assert.ok(line.length <= 100, line);
});

test("says nothing of shares and inodes where there are none", async () => {
  const lines = await linesOf({});
  assert.ok(!lines.some((line) => /shares|inodes|in use/.test(line)), lines.join("\n"));
  assert.ok(
    lines.some((line) => /^drive {6}ok, 50\.0 % of 1\.0 PiB available$/.test(line)),
    lines.join("\n"),
  );
});

test.run();
