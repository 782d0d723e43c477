import assert from "node:assert/strict";
import { createReadStream, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import { Recorder } from "../../../engine/trace/recorder.js";
import type { TraceAccess } from "../../../engine/trace/format.js";
import { TraceReader } from "../../../engine/trace/reader.js";
import { bytesOf, tagOf, withCache, withCode } from "../../support/temp-cache.js";

const recording = suite("recording accesses");
const BLOCK = 262_144;

async function readFile(path: string) {
  const reader = new TraceReader(createReadStream(path));
  const accesses: TraceAccess[] = [];
  for await (const some of reader) accesses.push(...some);
  return { reader, accesses };
}

const told = ({ file, block, offsetBytes, lengthBytes, outcome }: TraceAccess) =>
  [file.inode.toString(), block, offsetBytes, lengthBytes, outcome] as const;

recording("has every access as it was asked and how it ended, with each name once", async () => {
  await withCache({}, async (cache, directory) => {
    const path = join(directory, "../trace");
    await cache.put(tagOf(0), bytesOf(1, 10));
    const started = await cache.startTrace({ path });
    assert.equal(started.state, "recording");
    await cache.get(tagOf(0));
    await cache.get(tagOf(0), { offsetBytes: 4, lengthBytes: 3 });
    await cache.get(tagOf(1));
    await cache.get(tagOf(0, "other", "never heard of"));
    await cache.put(tagOf(1), bytesOf(2, 20));
    const volume = await cache.acquireVolume("fs", "volume");
    const file = await volume.acquireCookie("handle", { sizeBytes: BigInt(BLOCK + 9000) });
    await file.write(BigInt(BLOCK), bytesOf(3, 9000));
    await file.read(BigInt(BLOCK - 10), 20);
    await file.zero(0n, 4096);
    const lease = await cache.getOrLease(tagOf(2));
    const waiting = cache.getOrLease(tagOf(2));
    if (lease.kind === "lease") await lease.lease.put(bytesOf(4, 5));
    assert.equal((await waiting).kind, "hit");
    await cache.wipe();
    await cache.get(tagOf(0));
    const stopped = await cache.stopTrace();
    assert.deepEqual([stopped.state, stopped.accesses, stopped.files, stopped.lost], ["stopped", 12, 3, 0]);
    assert.equal(stopped.bytes, statSync(path).size);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    await cache.get(tagOf(0));

    const { reader, accesses } = await readFile(path);
    assert.deepEqual(accesses.map(told), [
      ["file", 0, 0, BLOCK, "hit"],
      ["file", 0, 4, 3, "hit"],
      ["file", 1, 0, BLOCK, "miss"],
      ["other", 0, 0, BLOCK, "miss"],
      ["file", 1, 0, 20, "stored"],
      ["handle", 1, 0, 9000, "stored"],
      ["handle", 0, BLOCK - 10, 10, "miss"],
      ["handle", 1, 0, 10, "hit"],
      ["file", 2, 0, BLOCK, "miss"],
      ["file", 2, 0, 5, "stored"],
      ["file", 2, 0, BLOCK, "hit"],
      ["file", 0, 0, BLOCK, "miss"],
    ]);
    assert.equal(accesses[3]?.file.volume.toString(), "never heard of");
    assert.ok(accesses.every(({ atMicros }, at) => atMicros >= (accesses[at - 1]?.atMicros ?? 0)));
    assert.ok(Math.abs(reader.startMs - Date.now()) < 60_000);
    assert.equal(readFileSync(path).toString("latin1").split("never heard of").length, 2);
  });
});

recording(
  "ends at its bound of bytes and keeps what came first; the next one names its files anew",
  async () => {
    await withCache({}, async (cache, directory) => {
      const path = join(directory, "../trace");
      await cache.startTrace({ path, bytesMax: 4096 });
      for (let block = 0; block < 2000; block += 1) await cache.get(tagOf(block % 7));
      const status = await cache.traceStatus();
      assert.equal(status.state, "full");
      assert.match(status.reason ?? "", /it has 4096 bytes/);
      const full = await cache.stopTrace();
      assert.equal(full.state, "full");
      const { accesses } = await readFile(path);
      assert.equal(accesses.length, full.accesses);
      assert.ok(statSync(path).size <= 4096 && accesses.length > 500, `${accesses.length}`);
      assert.deepEqual(told(accesses[8] ?? assert.fail()), ["file", 1, 0, BLOCK, "miss"]);

      await cache.startTrace({ path: `${path}2` });
      await cache.get(tagOf(3));
      assert.equal((await cache.stopTrace()).files, 1);
      assert.deepEqual((await readFile(`${path}2`)).accesses.map(told), [["file", 3, 0, BLOCK, "miss"]]);
    });
  },
);

recording("makes a file of its own, and says in one line why it cannot", async () => {
  await withCache({}, async (cache, directory) => {
    const place = join(directory, "..");
    writeFileSync(join(place, "there"), "mine");
    symlinkSync(join(place, "elsewhere"), join(place, "link"));
    mkdirSync(join(place, "directory"));
    for (const [path, code, message] of [
      ["relative", "E_ARGUMENT", /^Cannot record to "relative": want an absolute path$/],
      [
        join(place, "there"),
        "E_ARGUMENT",
        /^Cannot record to .*there: it exists, want a file that does not$/,
      ],
      [join(place, "link"), "E_ARGUMENT", /it exists/],
      [join(place, "directory"), "E_ARGUMENT", /it exists/],
      [join(place, "none/file"), "E_IO", /^Cannot record to .*none\/file: ENOENT$/],
      ["/proc/trace", "E_IO", /^Cannot record to \/proc\/trace: E/],
    ] as const) {
      await assert.rejects(cache.startTrace({ path }), withCode(code, message));
    }
    for (const bytesMax of [0, 4095, 1.5, 2 ** 41]) {
      await assert.rejects(cache.startTrace({ path: join(place, "new"), bytesMax }), withCode("E_ARGUMENT"));
    }
    assert.equal((await cache.traceStatus()).state, "none");
    assert.equal((await cache.stopTrace()).state, "none");
    assert.equal(readFileSync(join(place, "there"), "utf8"), "mine");

    await cache.startTrace({ path: join(place, "new") });
    await assert.rejects(cache.startTrace({ path: join(place, "newer") }), withCode("E_BUSY", /new runs$/));
  });
});

recording("is whole after a close that nobody stopped it before", async () => {
  await withCache({}, async (cache, directory) => {
    const path = join(directory, "../trace");
    await cache.startTrace({ path });
    await cache.get(tagOf(1));
    await cache.close();
    assert.equal((await readFile(path)).accesses.length, 1);
  });
});

recording("tells how many accesses it had no room for", () => {
  const chunks: Buffer[] = [];
  let room = true;
  const recorder = new Recorder({
    write: (bytes) => chunks.push(bytes),
    hasRoom: () => room,
    onFull: () => assert.fail("not full"),
    bytesMax: 10_000,
    now: () => 0,
    startMs: 1,
    firstNumber: 0,
  });
  const file = { volume: { fs: Buffer.from("f"), volume: Buffer.from("v") }, inode: Buffer.from("i") };
  recorder.note(file, 0, 0, 1, "hit");
  room = false;
  for (let block = 0; block < 5; block += 1) recorder.note(file, block, 0, 1, "hit");
  room = true;
  recorder.note(file, 9, 0, 1, "miss");
  recorder.flush();
  assert.equal(recorder.figures.lost, 5);
  return readFrom(Buffer.concat(chunks)).then(({ lost, blocks }) => {
    assert.equal(lost, 5);
    assert.deepEqual(blocks, [0, 9]);
  });
});

async function readFrom(bytes: Buffer) {
  const reader = new TraceReader(
    (async function* () {
      yield await Promise.resolve(bytes);
    })(),
  );
  const blocks: number[] = [];
  for await (const some of reader) blocks.push(...some.map(({ block }) => block));
  return { lost: reader.lost, blocks };
}

recording.run();
