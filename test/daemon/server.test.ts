import { lstatSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { suite } from "uvu";
import { isCacheError } from "../../index/core/errors.js";
import type { CacheErrorCode } from "../../index/core/errors.js";
import { connect } from "../../engine/daemon/client.js";
import { silentLogger } from "../../engine/daemon/logger.js";
import { startServer } from "../../engine/daemon/server.js";
import { MemoryCache } from "../model/memory-cache.js";
import { RawClient } from "./raw-client.js";
import { withServer } from "./with-server.js";

const server = suite("server");

function start(socketPath: string) {
  return startServer({
    cache: new MemoryCache(),
    socketPath,
    log: silentLogger,
    version: "0",
    onStopRequest: () => undefined,
  });
}

async function rejects(promise: Promise<unknown>, code: CacheErrorCode, text?: string): Promise<void> {
  const error = await promise.then(
    () => "no error",
    (reason: unknown) => reason,
  );
  assert.ok(isCacheError(error, code), `want ${code}, got ${String(error)}`);
  if (text !== undefined) assert.ok((error as Error).message.includes(text), (error as Error).message);
}

async function inDirectory(body: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "tagcache-socket-"));
  try {
    await body(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

server("refuses a socket path over 107 bytes, which Node would cut", async () => {
  await inDirectory(async (directory) => {
    const longest = join(directory, "x".repeat(107 - directory.length - 1));
    assert.is(longest.length, 107);
    const running = await start(longest);
    const client = await connect({ socketPath: longest });
    await client.close();
    await running.close();
    for (const path of [`${longest}x`, `${directory}/${"ä".repeat(60)}`, "", "a\0b"]) {
      await rejects(start(path), "E_ARGUMENT");
      await rejects(connect({ socketPath: path }), "E_ARGUMENT");
    }
  });
});

server("makes a socket that only its user may use, and removes it at close", async () => {
  await withServer({}, async ({ server: running, socketPath }) => {
    assert.is(statSync(socketPath).mode & 0o777, 0o600);
    await Promise.all([running.close(), running.close()]);
    assert.is(lstatSync(socketPath, { throwIfNoEntry: false }), undefined);
    await rejects(connect({ socketPath }), "E_UNAVAILABLE", socketPath);
  });
});

server("takes the place of a socket that nobody listens on", async () => {
  await inDirectory(async (directory) => {
    const socketPath = join(directory, "sock");
    const script = `require("node:net").createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"))`;
    spawnSync(process.execPath, ["-e", script, socketPath]);
    assert.ok(lstatSync(socketPath).isSocket());
    await rejects(connect({ socketPath }), "E_UNAVAILABLE", socketPath);
    const running = await start(socketPath);
    await rejects(start(socketPath), "E_BUSY", socketPath);
    const client = await connect({ socketPath });
    await client.ping();
    await client.close();
    await running.close();
  });
});

server("leaves alone what is no socket, and says where it cannot make one", async () => {
  await inDirectory(async (directory) => {
    const file = join(directory, "file");
    writeFileSync(file, "precious");
    await rejects(start(file), "E_DIRECTORY", file);
    await rejects(start(directory), "E_DIRECTORY", directory);
    assert.is(readFileSync(file, "utf8"), "precious");
    await rejects(start(join(directory, "absent", "sock")), "E_DIRECTORY", "absent");
  });
});

server("stops in time while a client takes no replies and an operation hangs", async () => {
  const hang = new Promise<void>(() => undefined);
  const cache = new MemoryCache({ before: (operation) => (operation === "has" ? hang : undefined) });
  await withServer({ cache }, async ({ server: running, socketPath }) => {
    const names = { fs: Buffer.from("nfs"), volume: Buffer.from("v"), inode: Buffer.from("i"), block: 0 };
    const raws = [new RawClient(socketPath), new RawClient(socketPath)];
    for (const raw of raws) raw.hello();
    for (const raw of raws) raw.send({ id: 1, op: "put", ...names }, Buffer.alloc(262_144));
    for (const raw of raws) await raw.reply(1);
    raws[0]?.send({ id: 2, op: "has", ...names });
    raws[1]?.socket.pause();
    for (let id = 2; id < 100; id += 1) raws[1]?.send({ id, op: "get", ...names });
    const startMs = performance.now();
    await running.close({ drainMs: 300 });
    assert.ok(performance.now() - startMs < 2000);
    assert.is(running.connections, 0);
    for (const raw of raws) raw.destroy();
  });
});

server("lets what it has received finish before it stops", async () => {
  let release: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  const cache = new MemoryCache({ before: (operation) => (operation === "put" ? gate : undefined) });
  await withServer({ cache }, async ({ server: running, connect: open }) => {
    const client = await open();
    const put = client.put({ fs: "nfs", volume: "v", inode: "i", block: 0 }, Buffer.alloc(1000));
    await client.ping();
    const closed = running.close({ drainMs: 5000 });
    release();
    assert.equal(await put, { kind: "stored" });
    await closed;
    await client.close();
  });
});

server.run();
