import assert from "node:assert/strict";
import { closeSync, openSync } from "node:fs";
import { suite } from "uvu";
import { encodeCoherency } from "../../engine/origin/coherency.js";
import {
  MountTable,
  hasStableInodes,
  identityOf,
  isBypassed,
  parseMountInfo,
} from "../../engine/origin/mounts.js";

const test = suite("mounts");

const INFO = [
  "27 1 254:0 / / rw,relatime - ext4 /dev/none rw,discard",
  "30 27 0:40 / /mnt/a\\040b\\011c rw shared:5 master:2 - nfs4 server:/export rw,vers=4.2",
  "31 27 0:41 / /mnt/\\134x rw - fuse.sshfs me@host:/x rw",
  "32 27 0:42 / /run rw - tmpfs tmpfs rw",
  "33 27 0:43 / /merged rw - overlay overlay rw,lowerdir=/l,upperdir=/u",
  "34 27 8:1 / /usb rw - vfat /dev/none1 rw",
  "garbage",
  "",
].join("\n");

test("reads mount points with escapes, optional fields and file system types", () => {
  const mounts = parseMountInfo(INFO);
  assert.deepEqual([...mounts.keys()], [27, 30, 31, 32, 33, 34]);
  assert.equal(mounts.get(30)?.point.toString(), "/mnt/a b\tc");
  assert.equal(mounts.get(30)?.fsType, "nfs4");
  assert.equal(mounts.get(30)?.source, "server:/export");
  assert.equal(mounts.get(31)?.point.toString(), "/mnt/\\x");
});

test("identifies file systems by server, device, layers or boot", () => {
  const mounts = parseMountInfo(INFO);
  const identity = (id: number) => mounts.get(id)?.identity.toString();
  assert.equal(identity(30), "net:nfs:server:/export");
  assert.equal(identity(31), "net:fuse.sshfs:me@host:/x");
  assert.equal(identity(27), "dev:ext4:/dev/none:254:0");
  assert.equal(identity(33), "super:overlay:overlay:rw,lowerdir=/l,upperdir=/u");
  assert.match(identity(32) ?? "", /^boot:[0-9a-f-]{36}:0:42$/);
  const nfs3 = identityOf({ device: "0:50", fsType: "nfs", source: "server:/export", superOptions: "" });
  assert.equal(nfs3.toString(), identity(30));
});

test("knows what is bypassed and where inode numbers mean nothing", () => {
  const mounts = [...parseMountInfo(INFO).values()];
  assert.deepEqual(mounts.map(isBypassed), [false, false, false, true, false, false]);
  assert.deepEqual(mounts.map(hasStableInodes), [true, true, false, true, true, false]);
});

test("finds the mount of an open descriptor", () => {
  const descriptor = openSync("/proc/self/status", "r");
  const mount = new MountTable().of(descriptor);
  closeSync(descriptor);
  assert.equal(mount?.fsType, "proc");
  assert.equal(mount?.point.toString(), "/proc");
});

test("lays coherency data out as documented", () => {
  const mounts = parseMountInfo(INFO);
  const stamp = { ino: 0x1122n, size: 5n, mtimeNs: 7n, ctimeNs: -1n };
  const disk = mounts.get(27);
  const usb = mounts.get(34);
  assert.ok(disk !== undefined && usb !== undefined);
  const identity = Buffer.from("dev:ext4:/dev/none:254:0");
  assert.equal(
    encodeCoherency(disk, stamp).toString("hex"),
    "0101" +
      "1800" +
      "2211000000000000" +
      "0500000000000000" +
      "0700000000000000" +
      "ffffffffffffffff" +
      identity.toString("hex"),
  );
  const onVfat = encodeCoherency(usb, stamp);
  assert.equal(onVfat.readUInt8(1), 0);
  assert.equal(onVfat.readBigUInt64LE(4), 0n);
});

test("replaces a long identity by its digest, so that coherency data stays small", () => {
  const options = `rw,lowerdir=${"/layer:".repeat(300)}`;
  const mount = parseMountInfo(`33 27 0:43 / /merged rw - overlay overlay ${options}`).get(33);
  assert.ok(mount !== undefined);
  assert.equal(encodeCoherency(mount, { ino: 1n, size: 1n, mtimeNs: 1n, ctimeNs: 1n }).length, 36 + 32);
});

test.run();
