import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { suite } from "uvu";
import { type Frame, FrameReader, encodeFrame } from "../../../engine/daemon/cvmfs/frames.js";
import {
  type ReplyMessage,
  type U64,
  decodeRequest,
  encodeRpc,
  toBigInt,
} from "../../../engine/daemon/cvmfs/messages.js";
import { BufferPool } from "../../../engine/daemon/buffer-pool.js";
import { bytesOf, randomOf, until, withCode } from "../../support/temp-cache.js";
import { GOLDEN } from "./golden-frames.js";
import { PART, S, hashOf } from "./plugin-client.js";
import { frame, message, text, uint } from "./wire.js";
import { withPlugin } from "./with-plugin.js";

const frames = suite("CVMFS frames");

const LARGE = { low: -1, high: -1 };
const DIGEST = Buffer.from(Array.from({ length: 20 }, (_, place) => place * 12));
const HASH = { algorithm: 1, digest: DIGEST };
const CRUMB = { fqrn: "repo.cern.ch", hash: HASH, timestamp: 1_700_000_000, revision: LARGE };

frames("are the bytes that clients know", () => {
  const wanted = JSON.parse(readFileSync("fixtures/cvmfs-frames.json", "utf8")) as Record<string, string>;
  const found = Object.fromEntries(
    Object.entries(GOLDEN).map(([name, bytes]) => [name, bytes.toString("hex")]),
  );
  assert.deepEqual(found, wanted, "clients that are out there know these bytes and no others");
  const replies: Readonly<Record<string, [ReplyMessage, Buffer?]>> = {
    "handshake ack": [
      {
        msg_handshake_ack: {
          status: 1,
          name: "tagcache 1",
          protocol_version: 1,
          session_id: 7,
          max_object_size: PART,
          capabilities: 127,
          pid: 4321,
        },
      },
    ],
    detach: [{ msg_detach: {} }],
    "refcount reply": [{ msg_refcount_reply: { req_id: 1, status: 10 } }],
    "read reply": [{ msg_read_reply: { req_id: LARGE, status: 1 } }, Buffer.from("some data")],
    "read reply at the end": [{ msg_read_reply: { req_id: 2, status: 1 } }, Buffer.alloc(0)],
    "object info reply": [
      { msg_object_info_reply: { req_id: 3, status: 1, object_type: 2, size: 25_165_825 } },
    ],
    "store reply": [{ msg_store_reply: { req_id: 4, status: 1, part_nr: 1 } }],
    "info reply": [
      {
        msg_info_reply: {
          req_id: 6,
          status: 1,
          size_bytes: 2 ** 40,
          used_bytes: 4096,
          pinned_bytes: 0,
          no_shrink: -1,
        },
      },
    ],
    "shrink reply": [{ msg_shrink_reply: { req_id: 7, status: 12, used_bytes: 17 } }],
    "list reply": [
      {
        msg_list_reply: {
          req_id: 8,
          status: 1,
          listing_id: 1,
          is_last_part: true,
          list_record: [{ hash: HASH, pinned: true, description: "catalog" }],
        },
      },
    ],
    "breadcrumb reply": [{ msg_breadcrumb_reply: { req_id: 10, status: 1, breadcrumb: CRUMB } }],
  };
  for (const [name, [reply, data]] of Object.entries(replies)) {
    assert.equal(Buffer.concat(encodeFrame(encodeRpc(reply), data)).toString("hex"), wanted[name], name);
  }
});

frames("of clients are read field by field", () => {
  const read = (name: string) => {
    const [found] = readAll(GOLDEN[name] as Buffer, [1e9]);
    return found as { name: string; fields: Record<string, unknown>; data: string };
  };
  const asked = { session_id: 7n };
  const object_id = { algorithm: 1, digest: DIGEST.toString("hex") };
  const wanted: Readonly<Record<string, unknown>> = {
    handshake: { protocol_version: 1, name: "repo.cern.ch:default" },
    quit: asked,
    ioctl: { ...asked, conncnt_change_by: -1 },
    refcount: { ...asked, req_id: 1n, object_id, change_by: -3 },
    read: {
      ...asked,
      req_id: 2n ** 64n - 1n,
      object_id: { ...object_id, algorithm: 3 },
      offset: 2n ** 40n,
      size: 4096,
    },
    "object info": { ...asked, req_id: 3n, object_id: { ...object_id, algorithm: 2 } },
    store: {
      ...asked,
      req_id: 4n,
      object_id,
      part_nr: 1n,
      last_part: true,
      expected_size: 2n ** 64n - 1n,
      object_type: 1,
      description: "/some/path",
    },
    "store of nothing": { ...asked, req_id: 5n, object_id, part_nr: 1n, last_part: true },
    "store abort": { ...asked, req_id: 4n, object_id },
    info: { ...asked, req_id: 6n, no_shrink_in_period: 3600n },
    shrink: { ...asked, req_id: 7n, shrink_to: 0n },
    list: { ...asked, req_id: 8n, listing_id: 0n, object_type: 1 },
    "breadcrumb store": {
      ...asked,
      req_id: 9n,
      breadcrumb: {
        fqrn: "repo.cern.ch",
        hash: object_id,
        timestamp: 1_700_000_000n,
        revision: 2n ** 64n - 1n,
      },
    },
    "breadcrumb load": { ...asked, req_id: 10n, fqrn: "repo.cern.ch" },
  };
  for (const [name, fields] of Object.entries(wanted)) assert.deepEqual(read(name).fields, fields, name);
  assert.equal(read("store").data, "00010203");
});

frames("are the same in pieces of any size", () => {
  const requests = ["handshake", "store", "read", "store of nothing", "list"].map(
    (name) => GOLDEN[name] as Buffer,
  );
  const large = frame(
    message(8, uint(1, 7), uint(2, 4), message(3, uint(1, 1), text(2, DIGEST))),
    bytesOf(1, 70_000),
  );
  const stream = Buffer.concat([...requests, large, ...requests]);
  const whole = readAll(stream, [stream.length]);
  assert.equal(whole.length, 11);
  const small = Buffer.concat(requests);
  for (let cut = 1; cut < small.length; cut += 1)
    assert.deepEqual(readAll(small, [cut, small.length]), whole.slice(0, 5), `cut at ${cut}`);
  assert.deepEqual(readAll(small, Array(small.length).fill(1)), whole.slice(0, 5), "a byte at a time");
  const random = randomOf(5);
  for (let round = 0; round < 20; round += 1) {
    const sizes = Array.from({ length: 20_000 }, () => 1 + Math.floor(random() * random() * 9000));
    assert.deepEqual(readAll(stream, sizes), whole);
  }
});

frames("that are none cost the connection, and nobody else's", async () => {
  const shaken = GOLDEN["handshake"] as Buffer;
  const bad: Readonly<Record<string, Buffer>> = {
    "version 0": Buffer.from([0, 1, 0, 0, 0]),
    "version 2": Buffer.from([2, 1, 0, 0, 0]),
    "no length": Buffer.from([1, 0, 0, 0]),
    "no message": Buffer.from([0x81, 3, 0, 0, 0, 0, 1]),
    "a message longer than its frame": Buffer.from([0x81, 3, 0, 0, 9, 0, 1]),
    "no data where some is announced": Buffer.from([0x81, 3, 0, 0, 1, 0, 1]),
    "a message that is too long": Buffer.from([1, 0, 0, 1]),
    "no protobuf": frame(Buffer.from([0xff, 0xff, 0xff])),
    "a message of no known type": frame(message(99, uint(1, 1))),
    "a server's message": GOLDEN["refcount reply"] as Buffer,
    "a field that lacks": frame(message(1, uint(1, 1), uint(2, 2))),
    "text, from a lost browser": Buffer.from("GET / HTTP/1.1\r\n\r\n"),
  };
  await withPlugin({}, async ({ connect: shake, server }) => {
    const witness = await shake();
    for (const [what, bytes] of Object.entries(bad)) {
      for (const before of [Buffer.alloc(0), shaken]) {
        const socket = connect(server.locator.slice("unix=".length));
        socket.resume();
        socket.on("error", () => undefined);
        socket.write(Buffer.concat([before, bytes]));
        await Promise.race([
          once(socket, "close"),
          new Promise((_, reject) => setTimeout(reject, 5000, new Error(what))),
        ]);
      }
    }
    const early = connect(server.locator.slice("unix=".length));
    early.on("error", () => undefined);
    early.resume();
    early.write(GOLDEN["info"] as Buffer); // before any handshake
    await once(early, "close");
    assert.equal((await witness.info()).status, S.ok);
    await until(() => server.connections === 1, 20_000);
  });
});

frames("that stop at any byte leave nothing behind", async () => {
  await withPlugin({}, async ({ server, cache, connect: shake }) => {
    const store = frame(
      message(7, uint(1, 1), uint(2, 4), message(3, uint(1, 1), text(2, DIGEST)), uint(4, 1), uint(5, false)),
      bytesOf(1, PART),
    );
    const stream = Buffer.concat([GOLDEN["handshake"] as Buffer, store.subarray(0, 200)]);
    const cuts = Array.from({ length: stream.length }, (_, cut) => cut);
    const path = server.locator.slice("unix=".length);
    for (const cut of cuts) {
      const socket = connect(path);
      socket.on("error", () => undefined);
      socket.end(stream.subarray(0, cut));
      socket.resume();
      if (cut % 16 === 0) await once(socket, "close");
    }
    await until(() => server.connections === 0, 20_000);
    const client = await shake();
    assert.equal(await client.store(hashOf("a"), Buffer.from("a")), S.ok);
    assert.deepEqual([cache.holds.stagedBytes, cache.holds.files], [0, 1]);
  });
});

frames("refuse what does not fit, by code", () => {
  const reader = new FrameReader(new BufferPool(), () => true);
  assert.throws(() => reader.push(Buffer.from([3, 1, 0, 0])), withCode("E_FRAME", /wire version 3, want 1/));
  assert.throws(() => decodeRequest(Buffer.from([0x0a, 0])), withCode("E_FRAME"));
});

/** What comes out of a stream that comes in pieces of these sizes; the reader is stopped at every other frame. */
function readAll(stream: Buffer, sizes: readonly number[]): unknown[] {
  const found: unknown[] = [];
  const pool = new BufferPool();
  let count = 0;
  const reader = new FrameReader(pool, ({ message: bytes, dataBytes, data }: Frame) => {
    const { name, fields } = decodeRequest(bytes);
    const shown = data?.subarray(0, dataBytes).toString("hex") ?? "";
    found.push({ name, fields: plain(fields), data: shown });
    count += 1;
    return count % 2 === 0;
  });
  let at = 0;
  for (const size of sizes) {
    if (at >= stream.length) break;
    reader.push(stream.subarray(at, at + size));
    while (reader.stopped) reader.resume();
    at += size;
  }
  assert.ok(reader.idle);
  return found;
}

function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString("hex");
  if (typeof value !== "object" || value === null) return value;
  if ("low" in value) return toBigInt(value as U64);
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]));
}

frames.run();
