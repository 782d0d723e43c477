/** Metadata on the wire: entry lists, and requests that are wrong. */
import * as assert from "uvu/assert";
import { suite } from "uvu";
import { decodeEntryList, encodeEntryList } from "../../engine/daemon/entry-list.js";
import type { Header } from "../../engine/daemon/headers.js";
import { isCacheError } from "../../index/core/errors.js";
import { RawClient } from "./raw-client.js";
import { withServer } from "./with-server.js";

const metadata = suite("metadata on the wire");

const NAMES = { fs: Buffer.from("nfs"), volume: Buffer.from("v"), inode: Buffer.from("i") };
const NOTHING = Buffer.alloc(0);
const ONE = encodeEntryList([
  { name: Buffer.from("a"), inode: Buffer.from([1, 2]), type: 8, value: Buffer.of(255) },
]);

function entryOf(name: string, inode = "", value = "") {
  return { name: Buffer.from(name), inode: Buffer.from(inode), type: 4, value: Buffer.from(value) };
}

metadata("an entry list reads back as it was written", () => {
  assert.is(ONE.toString("hex"), "010002000100000008000000" + "61" + "0102" + "ff");
  const lists = [
    [],
    [entryOf("a", "inode", "value")],
    [entryOf("a"), entryOf("b", "", "v"), entryOf("c", "i")],
  ];
  for (const list of lists) assert.equal(decodeEntryList(encodeEntryList(list), "E_FRAME"), list);
});

metadata("an entry list that is cut, too long or without names is refused", () => {
  const list = encodeEntryList([entryOf("name", "inode", "value"), entryOf("b")]);
  const ends = [12 + 14, list.length];
  for (let end = 1; end < list.length; end += 1) {
    if (!ends.includes(end)) refused(list.subarray(0, end));
  }
  const many = Array.from({ length: 1025 }, (_, number) => entryOf(`${number}`));
  refused(encodeEntryList(many));
  refused(encodeEntryList([entryOf("")]));
  refused(encodeEntryList([entryOf("n".repeat(1025))]));
  refused(encodeEntryList([entryOf("n", "", "v".repeat(65_537))]));
  refused(Buffer.from(ONE.map((byte, at) => (at >= 4 && at < 8 ? 255 : byte))));
});

function refused(bytes: Buffer): void {
  assert.throws(
    () => decodeEntryList(bytes, "E_FRAME"),
    (error: unknown) => isCacheError(error, "E_FRAME"),
  );
}

metadata("wrong requests are refused one by one, and the connection goes on", async () => {
  await withServer({}, async (server) => {
    const raw = new RawClient(server.socketPath);
    raw.hello();
    raw.send({ id: 1000, op: "acquireVolume", ...NAMES });
    const volume = Number((await raw.reply(1000)).header["handle"]);
    raw.send({ id: 1001, op: "acquireCookie", handle: volume, inode: NAMES.inode });
    const handle = Number((await raw.reply(1001)).header["handle"]);
    const name = Buffer.from("a");
    const value = Buffer.from("value");
    const wrong: ReadonlyArray<readonly [Header, Buffer?]> = [
      [{ op: "setMetadata", value }],
      [{ op: "setMetadata", group: "xattrs", value }],
      [{ op: "setMetadata", group: "attributes" }],
      [{ op: "setMetadata", group: "attributes", value: Buffer.alloc(4097) }],
      [{ op: "setMetadata", group: "attributes", value: "text" }],
      [{ op: "setMetadata", group: "attributes", value, coherency: Buffer.alloc(4097) }],
      [{ op: "getMetadata", group: "directory" }],
      [{ op: "dropMetadata", group: "blocks" }],
      [{ op: "setXattr", name, value: Buffer.alloc(65_537) }],
      [{ op: "setXattr", name: Buffer.alloc(256), value }],
      [{ op: "getXattr" }],
      [{ op: "removeXattr", name: NOTHING }],
      [{ op: "listXattrs", countMax: 0 }],
      [{ op: "replaceXattrs" }, ONE.subarray(0, 7)],
      [{ op: "putEntries" }, Buffer.alloc(13)],
      [{ op: "putEntries", listing: -1 }, ONE],
      [{ op: "putEntries", nextCoherency: "text" }, ONE],
      [{ op: "putNegative", name }],
      [{ op: "putNegative", name, ttl: 0 }],
      [{ op: "putNegative", name, ttl: 86_400_001 }],
      [{ op: "removeEntry", name: Buffer.alloc(1025) }],
      [{ op: "lookup", name: 1 }],
      [{ op: "lookup", name }, value],
      [{ op: "list", after: NOTHING }],
      [{ op: "list", countMax: 1025 }],
      [{ op: "completeListing" }],
    ];
    for (const [place, [header, payload]] of wrong.entries())
      raw.send({ id: place + 1, handle, ...header }, payload);
    for (const [place, [header]] of wrong.entries()) {
      const { header: reply } = await raw.reply(place + 1);
      assert.is(reply["code"], "E_ARGUMENT", JSON.stringify(header));
    }
    raw.send({ id: 2000, op: "lookup", handle: handle + 1, name });
    assert.is((await raw.reply(2000)).header["code"], "E_NOT_FOUND");
    raw.send({ id: 2001, op: "lookup", handle: volume, name });
    assert.is((await raw.reply(2001)).header["code"], "E_NOT_FOUND");
    raw.send({ id: 2002, op: "putEntries", handle }, ONE);
    assert.is((await raw.reply(2002)).header["status"], "stored");
    raw.send({ id: 2003, op: "lookup", handle, name });
    const found = { id: 2003, status: "ok", inode: Buffer.from([1, 2]), type: 8, value: Buffer.of(255) };
    assert.equal((await raw.reply(2003)).header, found);
    raw.send({ id: 2004, op: "list", handle });
    const list = await raw.reply(2004);
    assert.equal(list.header, { id: 2004, status: "ok", complete: false });
    assert.ok(list.payload.equals(ONE));
    raw.destroy();
  });
});

metadata.run();
