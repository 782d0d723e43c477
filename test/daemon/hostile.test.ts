/** Clients that misbehave: each gets an error or loses its connection, and a good one beside them notices nothing. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import * as assert from "uvu/assert";
import { suite } from "uvu";
import { SLOT_BYTES } from "../../index/core/layout.js";
import { frameOf, HELLO, RawClient } from "./raw-client.js";
import { BLOCK, beside } from "./beside.js";
import { sleep, until } from "./with-server.js";

const hostile = suite("hostile clients");

const NAMES = { fs: Buffer.from("nfs"), volume: Buffer.from("v"), inode: Buffer.from("i") };
async function errorAfter(socketPath: string, bytes: Uint8Array): Promise<unknown> {
  const raw = new RawClient(socketPath);
  raw.socket.write(bytes);
  const { header } = await raw.reply(undefined);
  await raw.untilClosed();
  raw.destroy();
  assert.is(header["status"], "error");
  return header["code"];
}

beside(hostile, "answers garbage with E_FRAME and closes", {}, async ({ socketPath }) => {
  const hello = frameOf(HELLO);
  const noMap = Buffer.concat([Buffer.from("TCF\u0001"), Buffer.of(1, 0, 0, 0, 0, 0, 0, 0, 0xc0)]);
  const garbage = Buffer.alloc(10_000, 0xa7);
  assert.is(await errorAfter(socketPath, Buffer.from("GET / HTTP/1.1\r\n\r\n")), "E_FRAME");
  assert.is(await errorAfter(socketPath, garbage), "E_FRAME");
  assert.is(await errorAfter(socketPath, noMap), "E_FRAME");
  assert.is(await errorAfter(socketPath, Buffer.concat([hello, garbage])), "E_FRAME");
  assert.is(await errorAfter(socketPath, Buffer.concat([hello, frameOf({ op: "ping" })])), "E_FRAME");
  assert.is(
    await errorAfter(socketPath, Buffer.concat([hello, frameOf({ id: "1", op: "ping" })])),
    "E_FRAME",
  );
  assert.is(await errorAfter(socketPath, Buffer.concat([hello, frameOf({ id: 1, op: 5 })])), "E_FRAME");
});

beside(hostile, "answers oversized frames with E_FRAME before it takes them", {}, async ({ socketPath }) => {
  const prefix = (headerBytes: number, payloadBytes: number) => {
    const bytes = Buffer.from("TCF\u0001\0\0\0\0\0\0\0\0", "latin1");
    bytes.writeUInt32LE(headerBytes, 4);
    bytes.writeUInt32LE(payloadBytes, 8);
    return bytes;
  };
  assert.is(await errorAfter(socketPath, prefix(0xffff_ffff, 0)), "E_FRAME");
  assert.is(await errorAfter(socketPath, prefix(20, 5 * 1024 * 1024)), "E_FRAME");
});

beside(hostile, "answers versions it does not speak with E_PROTOCOL_VERSION", {}, async ({ socketPath }) => {
  assert.is(await errorAfter(socketPath, Buffer.from("TCF\u0002")), "E_PROTOCOL_VERSION");
  for (const [versionMin, versionMax] of [
    [2, 3],
    [0, 0],
    [3, 1],
  ]) {
    const hello = frameOf({ id: 0, op: "hello", versionMin: versionMin ?? 0, versionMax: versionMax ?? 0 });
    assert.is(await errorAfter(socketPath, hello), "E_PROTOCOL_VERSION");
  }
});

beside(
  hostile,
  "wants hello first and within its time",
  { limits: { helloMs: 100 } },
  async ({ socketPath }) => {
    assert.is(await errorAfter(socketPath, frameOf({ id: 1, op: "ping" })), "E_FRAME");
    assert.is(await errorAfter(socketPath, frameOf({ id: 1, op: "hello" })), "E_ARGUMENT");
    const raw = new RawClient(socketPath);
    assert.is((await raw.reply(undefined)).header["code"], "E_TIMEOUT");
    await raw.untilClosed();
  },
);

beside(
  hostile,
  "survives a connection cut at every byte of its frames",
  {},
  async ({ socketPath, server }) => {
    const stream = Buffer.concat([
      frameOf(HELLO),
      frameOf({ id: 1, op: "put", ...NAMES, block: 0 }, Buffer.alloc(40)),
      frameOf({ id: 2, op: "get", ...NAMES, block: 0 }),
    ]);
    const raws = Array.from({ length: stream.length }, (_, cut) => {
      const raw = new RawClient(socketPath);
      raw.socket.end(stream.subarray(0, cut));
      return raw;
    });
    for (const raw of raws) await raw.untilClosed();
    await until(() => server.connections === 1);
  },
);

beside(
  hostile,
  "blames a frame that stops half-way",
  { limits: { stallMs: 100 } },
  async ({ socketPath }) => {
    const put = frameOf({ id: 1, op: "put", ...NAMES, block: 0 }, BLOCK);
    const raw = new RawClient(socketPath);
    raw.hello();
    raw.socket.write(put.subarray(0, put.length - 1));
    assert.is((await raw.reply(undefined)).header["code"], "E_TIMEOUT");
    await raw.untilClosed();
  },
);

beside(
  hostile,
  "drops a client that takes no replies, within bounded memory",
  { limits: { stallMs: 300 } },
  async (test) => {
    const raw = new RawClient(test.socketPath);
    raw.hello();
    raw.send({ id: 1, op: "put", ...NAMES, block: 0 }, BLOCK);
    await raw.reply(1);
    raw.socket.pause();
    for (let id = 2; id < 2000; id += 1) raw.send({ id, op: "get", ...NAMES, block: 0 });
    let bytesMax = 0;
    await until(() => {
      bytesMax = Math.max(bytesMax, test.server.inFlight.bytes);
      return test.server.connections === 1;
    });
    assert.ok(bytesMax > SLOT_BYTES && bytesMax <= 18 * 1024 * 1024, `in flight: ${bytesMax}`);
    raw.destroy();
  },
);

beside(
  hostile,
  "does not let clients that take no replies use up what all share",
  {
    limits: { stallMs: 5000, bytes: 4 * 1024 * 1024, bytesPerConnection: 2 * 1024 * 1024 },
  },
  async ({ socketPath, server }) => {
    const raws = Array.from({ length: 8 }, () => new RawClient(socketPath));
    for (const raw of raws) {
      raw.hello();
      raw.send({ id: 1, op: "put", ...NAMES, block: 0 }, BLOCK);
    }
    for (const raw of raws) {
      await raw.reply(1);
      raw.socket.pause();
      for (let id = 2; id < 100; id += 1) raw.send({ id, op: "get", ...NAMES, block: 0 });
    }
    await until(() => server.inFlight.bytes >= 4 * 1024 * 1024);
    await sleep(100);
    assert.ok(server.inFlight.bytes < 4 * 1024 * 1024 + 10 * 2 * SLOT_BYTES);
    for (const raw of raws) raw.destroy();
  },
);

beside(
  hostile,
  "turns away those over the connection limit, the silent ones first",
  {
    limits: { connections: 100 },
  },
  async ({ socketPath, server, connect }) => {
    const raws = Array.from({ length: 1000 }, () => new RawClient(socketPath));
    await until(() => raws.filter((raw) => raw.frames.length > 0).length >= 900);
    const refused = raws.filter((raw) => raw.frames.length > 0);
    for (const raw of refused) assert.is(raw.frames[0]?.header["code"], "E_LIMIT");
    assert.ok(server.connections <= 100);
    const newcomer = await connect();
    await newcomer.ping();
    await newcomer.close();
    for (const raw of raws) raw.destroy();
  },
);

beside(
  hostile,
  "refuses a newcomer when all that are here have said hello",
  { limits: { connections: 4 } },
  async (test) => {
    const raws = Array.from({ length: 3 }, () => new RawClient(test.socketPath));
    for (const raw of raws) raw.hello();
    for (const raw of raws) await raw.reply(0);
    try {
      await test.connect();
      assert.unreachable();
    } catch (error) {
      assert.is((error as { code: string }).code, "E_LIMIT");
    }
    for (const raw of raws) raw.destroy();
  },
);

beside(hostile, "forgets a client that was killed inside a frame", {}, async ({ socketPath, server }) => {
  const script = `
    const socket = require("node:net").connect(process.argv[1]);
    socket.write(Buffer.from(process.argv[2], "hex"), () => process.stdout.write("sent"));
  `;
  const put = frameOf({ id: 1, op: "put", ...NAMES, block: 0 }, Buffer.alloc(5000));
  const half = Buffer.concat([frameOf(HELLO), put.subarray(0, 3000)]).toString("hex");
  const child = spawn(process.execPath, ["-e", script, socketPath, half], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(child.stdout, "data");
  await until(() => server.connections === 2 && server.inFlight.requests > 0);
  child.kill("SIGKILL");
  await until(() => server.connections === 1);
});

hostile.run();
