import assert from "node:assert/strict";
import { suite } from "uvu";
import type { BypassReason, OwnedCache, StagedFile } from "../../../engine/api.js";
import { STATUS } from "../../../engine/daemon/cvmfs/statuses.js";
import { CacheError } from "../../../engine/cache.js";
import { bytesOf } from "../../support/temp-cache.js";
import { PART, S, hashOf } from "./plugin-client.js";
import { type Plugin, withPlugin } from "./with-plugin.js";

const statuses = suite("CVMFS statuses");
const CONTENT = bytesOf(1, PART + 1);
const HASH = hashOf(CONTENT);

/** What the cache answers to puts and gets, as a sick drive or a full one would make it. */
const WANTED: Readonly<Record<BypassReason, number>> = {
  "no-space": S.noSpace,
  "drive-full": S.noSpace,
  "index-full": S.noSpace,
  "write-budget": S.noSpace,
  "io-error": S.ioError,
  "drive-sick": S.ioError,
  stale: S.ioError,
  overload: S.timeout,
  closing: S.ioError,
  timeout: S.timeout,
  unavailable: S.ioError,
};

/** A server over a cache that bypasses what it is told to. */
async function withTrouble(
  body: (plugin: Plugin, trouble: { reason: BypassReason | undefined }) => Promise<void>,
): Promise<void> {
  const trouble: { reason: BypassReason | undefined } = { reason: undefined };
  const bypass = () => trouble.reason && { kind: "bypass" as const, reason: trouble.reason };
  const staged = (file: StagedFile): StagedFile => ({
    put: async (block, bytes) => bypass() ?? file.put(block, bytes),
    publish: async (content) => {
      const refused = bypass();
      if (refused !== undefined) await file.abandon();
      return refused ?? file.publish(content);
    },
    abandon: () => file.abandon(),
  });
  const wrap = (cache: OwnedCache): OwnedCache =>
    new Proxy(cache, {
      get(target, name) {
        if (name === "get")
          return async (...args: Parameters<OwnedCache["get"]>) => bypass() ?? target.get(...args);
        if (name === "hold")
          return (...args: Parameters<OwnedCache["hold"]>) => bypass() ?? target.hold(...args);
        if (name === "stage")
          return (...args: Parameters<OwnedCache["stage"]>) => staged(target.stage(...args));
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === "function" ? (value.bind(target) as unknown) : value;
      },
    });
  await withPlugin({ wrap }, (plugin) => body(plugin, trouble));
}

statuses("tell of every trouble of the cache, and nothing of it is left", async () => {
  await withTrouble(async ({ connect, cache }, trouble) => {
    const client = await connect();
    assert.equal(await client.store(HASH, CONTENT), S.ok);
    for (const [reason, wanted] of Object.entries(WANTED) as [BypassReason, number][]) {
      trouble.reason = reason;
      const other = hashOf(reason);
      const found = [
        (await client.read(HASH, 5, 10)).status,
        (await client.read(HASH, PART - 5, 10)).status,
        await client.store(other, CONTENT, { id: 5 }),
        await client.storePart(other, { id: 5, nr: 2, last: true, data: CONTENT.subarray(0, 1) }),
        await client.store(hashOf(`${reason} empty`), Buffer.alloc(0)),
      ];
      // The read of an open object fails, the first part of another one does, and so does whatever comes after it.
      assert.deepEqual(found, [wanted, wanted, wanted, wanted, wanted], reason);
      trouble.reason = undefined;
      assert.equal(await client.refcount(other, 0), S.noEntry);
      assert.deepEqual([cache.holds.files, cache.holds.stagedBytes], [1, 0], reason);
      const id = await client.put(Buffer.from(reason));
      trouble.reason = reason;
      assert.equal(await client.refcount(id, 1), wanted);
      trouble.reason = undefined;
      assert.equal(await client.refcount(id, 1), S.ok);
      assert.equal(await client.refcount(id, -1), S.ok);
    }
  });
});

statuses("tell of a drive that fails, and of the ledger", async () => {
  await withTrouble(async ({ connect, cache }, trouble) => {
    const client = await connect();
    Object.assign(trouble, {});
    const failing =
      (code: "E_IO" | "E_LIMIT" | "E_LEDGER_CORRUPT"): (() => never) =>
      () => {
        throw new CacheError(code, "Cannot keep it: a test");
      };
    for (const [code, wanted] of [
      ["E_IO", S.ioError],
      ["E_LIMIT", S.noSpace],
      ["E_LEDGER_CORRUPT", S.corrupted],
    ] as const) {
      Object.assign(cache, { putNote: async () => failing(code)(), note: async () => failing(code)() });
      assert.equal(await client.storeBreadcrumb("a", HASH, 1), wanted);
      assert.equal((await client.loadBreadcrumb("a")).status, wanted);
      Object.assign(cache, { evict: async () => failing("E_IO")(), status: async () => failing("E_IO")() });
      assert.equal((await client.shrink(0)).status, S.ioError);
      assert.equal((await client.info()).status, S.ioError);
      for (const name of ["putNote", "note", "evict", "status"]) Reflect.deleteProperty(cache, name);
    }
  });
});

statuses("are numbered as clients have them", () => {
  const { unknown, ...known } = STATUS;
  assert.deepEqual({ ...known }, { ...S });
  assert.equal(unknown, 0);
});

statuses.run();
