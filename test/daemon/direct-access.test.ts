/** Whose files and which files a client reads itself: those that it may read and that are the ones that were named. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { suite } from "uvu";
import type { DirectSource, Publication } from "../../engine/api.js";
import { Child } from "../crash/children.js";
import { withDaemons } from "../crash/daemons.js";
import {
  bytesOf,
  expectHit,
  expectSound,
  openAt,
  slotFiles,
  store,
  tagOf,
  until,
  withPlace,
} from "../support/temp-cache.js";
import { RawClient } from "./raw-client.js";
import { isReadDirect } from "./direct-reads.js";
import { withServer } from "./with-server.js";

const direct = suite("what clients read themselves");

const BYTES = bytesOf(1, 20_000);

const GROUP_ID = 65_534;
const groupName = nameOfGroup();

/** Another user can run what lies here, and this one can start him. */
function nameOfGroup(): string | undefined {
  if (process.getuid?.() !== 0) return undefined;
  try {
    const here = new URL(import.meta.url).pathname;
    const look = `fs.accessSync(${JSON.stringify(here)})`;
    execFileSync(process.execPath, ["-e", look], { uid: GROUP_ID, gid: GROUP_ID, stdio: "ignore" });
    return execFileSync("getent", ["group", String(GROUP_ID)])
      .toString()
      .split(":")[0];
  } catch {
    return undefined;
  }
}

const asOther = (name: string, body: () => Promise<void>): void => {
  if (groupName === undefined) direct.skip(name, body);
  else direct(name, body);
};

asOther("of another user read what the group may, and ask again for what they may no more", () =>
  withPlace((directory) =>
    withDaemons(async (start) => {
      fs.chmodSync(path.dirname(directory), 0o711);
      const daemon = start(directory, ["--capacity", "16MiB", "--group", groupName as string]);
      const owner = await daemon.connect(20_000);
      for (let block = 0; block < 6; block += 1) await store(owner, tagOf(block), bytesOf(block, 20_000));
      const stranger = new Child("../daemon/direct-child", [daemon.socketPath], { uid: 65_533, gid: 65_533 });
      const member = new Child("../daemon/direct-child", [daemon.socketPath], { uid: 65_533, gid: GROUP_ID });
      let calls = 0;
      const isDirect = async (block: number): Promise<boolean> => {
        calls += 1;
        member.tell({ get: block, call: calls });
        return (await member.says(`got ${calls}`))["direct"] === true;
      };
      const slots = path.join(directory, "slots");
      const lookup = path.join(directory, "lookup");
      try {
        stranger.tell({ get: 0, call: 0 });
        await assert.rejects(stranger.says("got 0"), /E_UNAVAILABLE/);
        await until(() => isDirect(0));
        fs.chmodSync(slots, 0);
        assert.equal(await isDirect(0), true, "what is open stays so");
        for (let reads = 0; reads < 3; reads += 1) assert.equal(await isDirect(1), false);
        fs.chmodSync(slots, 0o2750);
        await until(() => isDirect(1));
        for (const place of [slots, lookup]) {
          const { mode } = fs.statSync(place);
          fs.chmodSync(place, 0);
          member.tell({ reconnect: true });
          for (let reads = 0; reads < 3; reads += 1) assert.equal(await isDirect(2), false);
          fs.chmodSync(place, mode & 0o7777);
          await until(() => isDirect(2));
        }
        for (const closed of ["index", "ledger"])
          assert.equal(fs.statSync(path.join(directory, closed)).mode & 0o777, 0o700);
        for (const file of [lookup, ...slotFiles(directory).values()]) {
          const { mode, gid } = fs.statSync(file);
          assert.deepEqual([mode & 0o777, gid], [0o640, GROUP_ID], file);
        }
      } finally {
        await Promise.all([stranger.kill(), member.kill()]);
        await owner.close();
      }
    }),
  ),
);

/** The source as it is, but for what it says is published. */
function lying(source: DirectSource, told: () => Publication | undefined): DirectSource {
  return {
    get publication() {
      return told();
    },
    republish: told,
    resolve: (...args) => source.resolve(...args),
    resolveHandle: (handle) => source.resolveHandle(handle),
    noteUses: (uses) => source.noteUses(uses),
  };
}

direct("is nothing but the file and directory that were named, and those of this cache", () =>
  withPlace(async (directory) => {
    const [cache, other] = [
      await openAt(directory, { publish: true }),
      await openAt(`${directory}-other`, { publish: true }),
    ];
    const [source, otherSource] = [cache.direct as DirectSource, other.direct as DirectSource];
    await until(() => source.publication !== undefined && otherSource.publication !== undefined);
    await store(cache, tagOf(0), BYTES);
    await store(other, tagOf(0), bytesOf(2, 20_000));
    const { lookup, slots } = source.publication as Publication;
    const [pipe, link] = [`${directory}-pipe`, `${directory}-link`];
    execFileSync("mkfifo", [pipe]);
    fs.symlinkSync(slots.path, link);
    const lies: Array<Publication | undefined> = [
      { slots, lookup: { ...lookup, inode: lookup.inode + 1n } },
      { slots, lookup: { ...lookup, device: lookup.device + 1n } },
      { lookup, slots: { ...slots, inode: slots.inode + 1n } },
      { lookup: slots, slots: lookup },
      { slots, lookup: { ...lookup, path: `${lookup.path}\0` } },
      { slots, lookup: { ...lookup, path: `/${"x".repeat(5000)}` } },
      { slots, lookup: { ...lookup, path: pipe } },
      { lookup, slots: { ...slots, path: link } },
      otherSource.publication,
      undefined,
    ];
    let told: Publication | undefined;
    await withServer({ cache, direct: lying(source, () => told) }, async ({ connect }) => {
      for (const lie of lies) {
        told = lie;
        const client = await connect();
        for (let reads = 0; reads < 3; reads += 1)
          assert.equal(await isReadDirect(client, tagOf(0), BYTES), false, JSON.stringify(lie, text));
        told = { lookup, slots };
        await until(() => isReadDirect(client, tagOf(0), BYTES));
        await client.close();
      }
    });
    await cache.close();
    await other.close();
  }),
);

function text(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? String(value) : value;
}

/** One use as PROTOCOL.md gives it. */
function useOf(slot: number, hits: number, objectId: number, block: number, bytes: bigint): Buffer {
  const use = Buffer.alloc(28);
  use.writeUInt32LE(slot, 0);
  use.writeUInt32LE(hits, 4);
  use.writeUIntLE(objectId, 8, 6);
  use.writeUIntLE(block, 14, 6);
  use.writeBigUInt64LE(bytes, 20);
  return use;
}

direct("is told by anybody, and nothing comes of what makes no sense", () =>
  withPlace(async (directory) => {
    const cache = await openAt(directory, { publish: true });
    const source = cache.direct as DirectSource;
    await until(() => source.publication !== undefined);
    await store(cache, tagOf(0), BYTES);
    await withServer({ cache, direct: source }, async ({ socketPath }) => {
      const raw = new RawClient(socketPath);
      raw.hello();
      let id = 0;
      const ask = async (op: string, payload?: Buffer): Promise<unknown> => {
        id += 1;
        raw.send({ id, op }, payload);
        const { header } = await raw.reply(id);
        return header["status"] === "ok" ? "ok" : header["code"];
      };
      const sound = useOf(0, 1, 1, 0, 100n);
      assert.equal(await ask("uses", sound.subarray(1)), "E_ARGUMENT");
      assert.equal(await ask("uses", Buffer.concat([sound, sound.subarray(0, 5)])), "E_ARGUMENT");
      assert.equal(await ask("uses", Buffer.alloc(4097 * 28)), "E_ARGUMENT");
      assert.equal(await ask("uses", useOf(0, 1, 1, 0, 262_145n)), "E_ARGUMENT");
      assert.equal(await ask("uses", useOf(0, 0, 1, 0, 1n)), "E_ARGUMENT");
      assert.equal(await ask("uses", useOf(0, 2 ** 32 - 1, 1, 0, 2n ** 64n - 1n)), "E_ARGUMENT");
      assert.equal(await ask("direct", sound), "E_ARGUMENT");
      assert.equal((await cache.status()).counters.directHits, 0);
      // Of a slot that is none, of another tenant, and of nothing at all.
      assert.equal(await ask("uses", useOf(2 ** 32 - 1, 1, 1, 0, 10n)), "ok");
      assert.equal(await ask("uses", useOf(0, 1, 2 ** 48 - 1, 2 ** 48 - 1, 10n)), "ok");
      assert.equal(await ask("uses", Buffer.alloc(4096 * 28)), "ok");
      assert.equal((await cache.status()).counters.directHits, 2);
      assert.equal(await ask("direct"), "ok");
      raw.destroy();
    });
    expectHit(await cache.get(tagOf(0)), BYTES);
    await cache.close();
    await expectSound(directory);
  }),
);

direct.run();
