/** Clients that read slot files themselves, beside a real daemon: when they do, when they do not, and how they come back. */
import assert from "node:assert/strict";
import fs from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { suite } from "uvu";
import { type CacheClient, connect } from "../../engine/daemon/client.js";
import { SLOT_BYTES } from "../../index/core/layout.js";
import { Child } from "../crash/children.js";
import { Daemon } from "../crash/daemons.js";
import { itemsIn } from "../engine/direct/published.js";
import { bytesOf, expectHit, pause, slotFiles, store, tagOf, until } from "../support/temp-cache.js";
import { isReadDirect, socketHits } from "./direct-reads.js";

const direct = suite("clients that read slot files themselves");

const CAPACITY = ["--capacity", "16MiB"];
const BYTES = bytesOf(1, 20_000);

const place = fs.mkdtempSync(path.join(tmpdir(), "tagcache-direct-"));
const directory = path.join(place, "cache");
const lookup = path.join(directory, "lookup");
/** One for all of these; the last test ends it and starts others. */
let daemon = new Daemon(directory, CAPACITY);

direct.after(async () => {
  await daemon.end("SIGKILL");
  fs.rmSync(place, { recursive: true, force: true });
});

/** Runs the body with a client of an empty cache. */
async function withClient(
  body: (client: CacheClient) => Promise<void>,
  options: { readonly deadlineMs?: number; readonly verify?: boolean } = {},
): Promise<void> {
  const { socketPath } = daemon;
  await (await daemon.connect(20_000)).close();
  const client = await connect({ socketPath, deadlineMs: 20_000, ...options });
  try {
    await client.wipe();
    await body(client);
  } finally {
    await client.close();
  }
}

/** A block is stored and then read, until that goes without the daemon. */
async function untilDirect(client: CacheClient, block = 0, bytes = BYTES): Promise<void> {
  await until(async () => (await client.put(tagOf(block), bytes)).kind === "stored");
  await until(() => isReadDirect(client, tagOf(block), bytes));
}

/** What this process has open of what is published, or was: the names, as the kernel gives them. */
function openOf(below: string): string[] {
  const names: string[] = [];
  for (const fd of fs.readdirSync("/proc/self/fd")) {
    const name = readLink(`/proc/self/fd/${fd}`);
    if (name?.startsWith(below) === true) names.push(name);
  }
  return names;
}

direct("come back by themselves when the lookup file is closed, removed, replaced, cut or overwritten", () =>
  withClient(async (client) => {
    await untilDirect(client);
    const troubles: Array<[string, () => unknown]> = [
      ["a wipe", () => client.wipe()],
      ["a change of the capacity", () => client.setConfig(new Map([["capacity", "12MiB"]]))],
      ["it is removed", () => fs.unlinkSync(lookup)],
      [
        "it is replaced by a copy",
        () => {
          fs.copyFileSync(lookup, `${lookup}.copy`);
          fs.renameSync(`${lookup}.copy`, lookup);
        },
      ],
      ["it is cut to nothing", () => fs.truncateSync(lookup, 0)],
      ["it is cut inside", () => fs.truncateSync(lookup, 1500)],
      [
        "all of it is overwritten",
        () => fs.writeFileSync(lookup, Buffer.alloc(fs.statSync(lookup).size, 0xa5), { flag: "r+" }),
      ],
      ["its header is overwritten", () => fs.writeFileSync(lookup, Buffer.alloc(512, 0xa5), { flag: "r+" })],
    ];
    for (const [round, [what, trouble]] of troubles.entries()) {
      await trouble();
      const fresh = bytesOf(round, 20_000);
      assert.deepEqual(await client.put(tagOf(1), fresh), { kind: "stored" }, what);
      expectHit(await client.get(tagOf(1)), fresh);
      await untilDirect(client, 2, bytesOf(50 + round, 9000));
      // Who has a file open goes on with it; who does not finds one, too.
      const newcomer = await daemon.connect(20_000);
      await until(() => isReadDirect(newcomer, tagOf(2), bytesOf(50 + round, 9000)));
      await newcomer.close();
    }
    await client.setConfig(new Map([["capacity", "default"]]));
    await client.close();
    assert.deepEqual(openOf(directory), [], "nothing of it stays open");
  }),
);

for (const verify of [true, false]) {
  direct(`read no slot that a shrink took away, ${verify ? "checked" : "unchecked"}`, () =>
    withClient(
      async (client) => {
        const blocks = Array.from({ length: 24 }, (_, block) => block);
        const contents = [1, 2].map((version) =>
          blocks.map((block) => bytesOf(block * 100 + version, 20_000)),
        );
        const [before, after] = contents as [Buffer[], Buffer[]];
        const storeAll = async (all: Buffer[]): Promise<void> => {
          for (const block of blocks) await store(client, tagOf(block), all[block] as Buffer);
          for (const block of blocks)
            await until(() => isReadDirect(client, tagOf(block), all[block] as Buffer));
        };
        await storeAll(before);
        assert.ok(openOf(path.join(directory, "slots")).length >= 24, "the files are open here");
        await client.setConfig(new Map([["slots", "16"]]));
        let hits = 0;
        for (const block of blocks) {
          const got = await client.get(tagOf(block));
          if (got.kind === "miss") continue;
          expectHit(got, before[block] as Buffer);
          hits += 1;
        }
        assert.ok(hits > 0 && hits <= 16, `${hits} hits`);
        // Files that are gone but open here take nothing of the drive.
        for (const fd of fs.readdirSync("/proc/self/fd")) {
          const name = readLink(`/proc/self/fd/${fd}`) ?? "";
          if (!name.startsWith(path.join(directory, "slots")) || !name.endsWith(" (deleted)")) continue;
          assert.equal(fs.fstatSync(Number(fd)).blocks, 0, name);
        }
        await client.setConfig(new Map([["slots", "default"]]));
        await storeAll(after);
      },
      { verify },
    ),
  );
}

function readLink(name: string): string | undefined {
  try {
    return fs.readlinkSync(name);
  } catch {
    return undefined;
  }
}

direct("are counted, and what they read is not the next to go", () =>
  withClient(async (client) => {
    const contents = Array.from({ length: 20 }, (_, block) => bytesOf(block, SLOT_BYTES));
    const whole = (block: number) => contents[block] as Buffer;
    for (let block = 0; block < 20; block += 1) await store(client, tagOf(block), whole(block));
    await until(() => isReadDirect(client, tagOf(0), whole(0)));
    await pause(300);
    const before = await client.status();
    for (let block = 1; block < 20; block += 1) await client.get(tagOf(block));
    const aside = await socketHits(client);
    for (let reads = 0; reads < 10; reads += 1) expectHit(await client.get(tagOf(0)), whole(0));
    assert.equal(await socketHits(client), aside, "they were read here");
    await until(async () => (await client.status()).hits === before.hits + 29, 1000);
    const { counters } = await client.status();
    assert.ok(counters.directHits >= before.counters.directHits + 10);
    assert.equal(counters.bytesHit, before.counters.bytesHit + 29 * SLOT_BYTES);
    // All but one block go: that one was used last, by this client alone.
    await client.cull({ usedBytesMax: SLOT_BYTES });
    expectHit(await client.get(tagOf(0)), whole(0));
    assert.deepEqual(await client.get(tagOf(19)), { kind: "miss" });
  }),
);

direct("return no byte of a slot that was overwritten, and the daemon drops and counts it", () =>
  withClient(async (client) => {
    const bytes = bytesOf(3, 3 * 4096);
    for (const warm of [false, true]) {
      await untilDirect(client, 3, bytes);
      // The page that is hit was read alone before, and so its own sum is known.
      if (warm) for (let reads = 0; reads < 3; reads += 1) await client.get(tagOf(3), { lengthBytes: 4096 });
      const slot = itemsIn(lookup).find(({ block }) => block === 3)?.entry.slot as number;
      const file = slotFiles(directory).get(slot) as string;
      const fd = fs.openSync(file, "r+");
      fs.writeSync(fd, Buffer.of(0xff ^ (bytes[100] as number)), 0, 1, 100);
      fs.closeSync(fd);
      const { corrupt, misses } = await client.status();
      assert.deepEqual(await client.get(tagOf(3), { lengthBytes: 4096 }), { kind: "miss" });
      const after = await client.status();
      assert.deepEqual([after.corrupt, after.misses], [corrupt + 1, misses + 1]);
      assert.deepEqual(await client.get(tagOf(3)), { kind: "miss" });
    }
  }),
);

direct("go over the socket alone when they are told to", () =>
  withClient(async (client) => {
    await untilDirect(client);
    const open = openOf(directory).length;
    const asking = await connect({ socketPath: daemon.socketPath, deadlineMs: 20_000, direct: "off" });
    for (let reads = 0; reads < 5; reads += 1)
      assert.equal(await isReadDirect(asking, tagOf(0), BYTES), false);
    assert.equal(openOf(directory).length, open);
    await asking.close();
    const unchecked = await connect({ socketPath: daemon.socketPath, deadlineMs: 20_000, verify: false });
    await until(() => isReadDirect(unchecked, tagOf(0), BYTES));
    await unchecked.remove(tagOf(0));
    assert.deepEqual(await unchecked.get(tagOf(0)), { kind: "miss" });
    await unchecked.close();
  }),
);

direct("go on reading while the daemon stands still", () =>
  withClient(async () => {
    const client = await connect({ socketPath: daemon.socketPath, deadlineMs: 300 });
    await untilDirect(client);
    daemon.process.kill("SIGSTOP");
    try {
      let hits = 0;
      for (const endMs = performance.now() + 500; performance.now() < endMs; hits += 1)
        expectHit(await client.get(tagOf(0)), BYTES);
      assert.ok(hits > 20, `${hits} hits`);
      assert.deepEqual(await client.get(tagOf(77)), { kind: "bypass", reason: "timeout" });
    } finally {
      daemon.process.kill("SIGCONT");
    }
    await untilDirect(client, 1);
    await client.close();
  }),
);

/** Sockets that a process has open. */
const socketsOf = (pid: number): number =>
  fs.readdirSync(`/proc/${pid}/fd`).filter((fd) => readLink(`/proc/${pid}/fd/${fd}`)?.startsWith("socket:"))
    .length;

direct("block nobody and leave nothing, whether they stand still or are killed", async () => {
  const readers = [0, 1].map(() => new Child("../daemon/direct-child", [daemon.socketPath]));
  try {
    await withClient(async (client) => {
      await untilDirect(client);
      const sockets = socketsOf(daemon.pid);
      for (const reader of readers) {
        reader.tell({ run: true });
        await reader.says("running");
      }
      await until(() => socketsOf(daemon.pid) === sockets + 2);
      for (const reader of readers) reader.process.kill("SIGSTOP");
      await client.wipe();
      await client.setConfig(new Map([["capacity", "8MiB"]]));
      await untilDirect(client);
      await readers[0]?.kill();
      await until(() => socketsOf(daemon.pid) === sockets + 1);
    });
    const beganMs = performance.now();
    assert.equal(await daemon.end("SIGTERM"), 0);
    assert.ok(performance.now() - beganMs < 8000);
  } finally {
    await Promise.all(readers.map((reader) => reader.kill()));
  }
});

direct("go on with the next daemon, whether the last one stopped or was killed", async () => {
  daemon = new Daemon(directory, CAPACITY);
  await withClient(async (client) => {
    for (const signal of ["SIGTERM", "SIGKILL"] as const) {
      await untilDirect(client);
      const old = fs.openSync(lookup, "r");
      await daemon.end(signal);
      await until(async () => (await client.get(tagOf(0))).kind === "bypass");
      daemon = new Daemon(directory, CAPACITY);
      await until(async () => (await client.get(tagOf(9))).kind === "miss");
      const head = Buffer.alloc(40);
      fs.readSync(old, head, 0, 40, 0);
      fs.closeSync(old);
      assert.notEqual(head.readUInt32LE(36), 1, "nobody uses the old file any more");
      const kept = await client.get(tagOf(0));
      if (signal === "SIGKILL") assert.deepEqual(kept, { kind: "miss" });
      else expectHit(kept, BYTES);
      await untilDirect(client);
    }
  });
});

direct.run();
