/** Flush, list, explain and pins on the wire: what is refused, and what a client makes of odd replies. */
import * as assert from "uvu/assert";
import { suite } from "uvu";
import { isCacheError } from "../../index/core/errors.js";
import { NAME_BYTES_MAX } from "../../index/core/layout.js";
import { decodeExplanation } from "../../engine/daemon/explanation-codec.js";
import { mapOf, mapsOf } from "../../engine/daemon/field-maps.js";
import { Fields } from "../../engine/daemon/fields.js";
import type { HeaderValue } from "../../engine/daemon/headers.js";
import { MemoryCache } from "../model/memory-cache.js";
import { RawClient } from "./raw-client.js";
import { sleep, until, withServer } from "./with-server.js";

const admin = suite("admin operations");
const [fs, volume, inode] = ["f", "v", "i"].map((name) => Buffer.from(name));
const names = { fs, volume, inode } as { fs: Buffer; volume: Buffer; inode: Buffer };

admin("refuses selectors, names and positions that are none, and goes on", async () => {
  const wrong: Array<Record<string, HeaderValue>> = [];
  for (const op of ["flush", "ls", "pin", "unpin"]) {
    wrong.push({ op }, { op, all: 1 }, { op, all: true, fs: names.fs }, { op, fs: "text" });
    wrong.push({ op, fs: Buffer.alloc(0) }, { op, fs: Buffer.alloc(256) }, { op, volume: names.volume });
    wrong.push({ op, fs: names.fs, inode: names.inode }, { op, ...names, inodePrefix: names.inode });
    wrong.push({ op, fs: names.fs, volume: Buffer.alloc(NAME_BYTES_MAX + 1) });
  }
  wrong.push({ op: "flush", all: true, dryRun: 1 }, { op: "pin", all: true }, { op: "pin", fs: names.fs });
  wrong.push({ op: "pin", ...names, refetched: "yes" });
  for (const op of ["ls", "pins"]) {
    wrong.push(...[0, -1, 501, 0.5, "1"].map((limit) => ({ op, all: true, limit })));
    wrong.push({ op, all: true, after: "text" });
  }
  wrong.push({ op: "ls", all: true, after: Buffer.alloc(256) }, { op: "pins", after: -1 });
  wrong.push({ op: "explain", ...names }, { op: "explain", ...names, block: 2n ** 45n });
  wrong.push({ op: "explain", fs: names.fs, volume: names.volume, block: 0 });
  await withServer({ cache: new MemoryCache() }, async ({ socketPath }) => {
    const raw = new RawClient(socketPath);
    raw.hello();
    for (const [at, header] of wrong.entries()) {
      raw.send({ id: at + 1, ...header } as { id: number; op: string });
      assert.is((await raw.reply(at + 1)).header["code"], "E_ARGUMENT", `request ${at}`);
    }
    raw.send({ id: 1000, op: "flush", ...names });
    const { id: _, ...header } = (await raw.reply(1000)).header;
    const skipped = { inUse: 0, pinned: 0, unsent: 0 };
    assert.equal(header, { status: "ok", dropped: { blocks: 0, bytes: 0 }, skipped });
    raw.destroy();
  });
});

admin("carries the longest names, both ways", async () => {
  const cache = new MemoryCache();
  const long = { fs: "f".repeat(255), volume: "v".repeat(NAME_BYTES_MAX), inode: "i".repeat(NAME_BYTES_MAX) };
  await withServer({ cache }, async ({ connect }) => {
    const client = await connect();
    await client.put({ ...long, block: 0 }, Buffer.from("x"));
    assert.is(
      (await client.list({ fs: long.fs, volume: long.volume })).entries[0]?.name.length,
      NAME_BYTES_MAX,
    );
    assert.equal(await client.pin(long), { added: true, blocks: 1, bytes: 1 });
    assert.is((await client.pins()).pins[0]?.inode?.toString(), long.inode);
    assert.is((await client.explain({ ...long, block: 0 })).pin, "pinned");
    assert.is((await client.flush(long)).skipped.pinned, 1);
    await client.close();
  });
});

admin("may take longer than the client's deadline", async () => {
  const held: Array<() => void> = [];
  const hold = (operation: string) =>
    operation === "flush" ? new Promise<void>((resolve) => void held.push(resolve)) : undefined;
  await withServer({ cache: new MemoryCache({ before: hold }) }, async ({ connect }) => {
    const client = await connect(100);
    const flushing = client.flush({ all: true });
    await until(() => held.length === 1);
    await sleep(300);
    held[0]?.();
    assert.is((await flushing).dropped.blocks, 0);
    await client.close();
  });
});

admin("takes no reply that is not what it should be", () => {
  const refused = (body: () => unknown) => {
    let outcome: unknown = "no error";
    try {
      outcome = body();
    } catch (error) {
      outcome = error;
    }
    assert.ok(isCacheError(outcome, "E_FRAME"), String(outcome));
  };
  const good = { state: "cached", victim: true, why: "so", inUse: false, pin: "none" };
  const entry = {
    version: 1,
    epoch: 1,
    sequence: 1,
    validBytes: 1,
    present: [[0, 0]],
    zero: [],
    checksum: "crc32",
  };
  const explained = (header: Record<string, HeaderValue>) => decodeExplanation(new Fields(header, "E_FRAME"));
  assert.equal(explained({ ...good, entry }) as unknown, { ...good, entry });
  for (const wrong of [{ state: "odd" }, { pin: 1 }, { why: 1 }, { victim: 1 }, { entry: 1 }, { slot: [] }]) {
    refused(() => explained({ ...good, ...wrong }));
  }
  for (const wrong of [
    { present: 1 },
    { zero: [[2, 1]] },
    { zero: [1] },
    { validBytes: 2 ** 20 },
    { checksum: "md5" },
  ]) {
    refused(() => explained({ ...good, entry: { ...entry, ...wrong } }));
  }
  const fields = new Fields({ list: [1], map: Buffer.alloc(0) }, "E_FRAME");
  refused(() => mapsOf(fields, "list"));
  refused(() => mapsOf(fields, "absent"));
  refused(() => mapOf(fields, "map"));
});

admin.run();
