/** The client in Python's standard library, fixtures/client.py, against a daemon of its own process. */
import { type Server, type Socket, createServer } from "node:net";
import { join } from "node:path";
import { withDaemon, withDirectory } from "../cli/run-cli.js";
import { python, pythonSuite, withPython } from "./run-python.js";

const { check, run } = pythonSuite("a client in Python");

check(
  "says hello, and is told who the cache is",
  withPython(`
with Client(path) as cache:
    cache.ping()
    assert cache.hello["protocol"] == 1 and cache.hello["epoch"] >= 1 and len(cache.hello["cacheId"]) == 32
    assert cache.hello["limits"]["payloadBytes"] == 4194304
    assert cache.status()["cacheId"] == cache.hello["cacheId"]
`),
);

check(
  "puts and gets blocks, whole and in ranges, under names of any bytes",
  withPython(`
with Client(path) as cache:
    small = Tag(b"nfs", b"vol\\0", bytes(range(256)), 2**45 - 1)
    whole = Tag(b"nfs", b"", b"", 0)
    data = bytes(i * 7 % 251 for i in range(262144))
    assert cache.get(small) == Answer("miss") and not cache.has(small)
    assert cache.put(small, b"hello, block").kind == "stored"
    assert cache.put(whole, data).kind == "stored"
    assert cache.get(small) == Answer("hit", b"hello, block")
    assert cache.get(whole).data == data
    assert cache.get(whole, offset=100001, length=5000).data == data[100001:105001]
    assert cache.get(small, offset=7).data == b"block"
    assert cache.get(small, offset=12, length=10) == Answer("hit", b"")
    assert cache.has(small) and cache.remove(small) and not cache.remove(small)
    assert cache.get(small).kind == "miss"
    status = cache.status()
    assert status["hits"] == 5 and status["counters"]["bytesHit"] == 12 + 262144 + 5000 + 5
`),
);

check(
  "reads and writes a file by a cookie, and sees what is missing",
  withPython(`
with Client(path) as cache:
    volume = cache.acquire_volume(b"nfs", b"vol", coherency=b"v1")
    assert volume.outcome == "created"
    file = volume.acquire_cookie(b"file", coherency=b"c1", size=3 * 262144 + 10)
    assert file.outcome == "created" and file.size == 786442
    data = bytes(i % 253 for i in range(262144))
    assert file.write(262144, data) == ([Range(262144, 262144)], None)
    assert file.write(786432, b"0123456789").stored == [Range(786432, 10)]
    got = file.read(262140, 8)
    assert got == (bytes(4) + data[:4], [Range(262140, 4)], None), got
    got = file.read(0, 4194304)
    assert got.missing == [Range(0, 262144), Range(524288, 262144)] and len(got.data) == 786442
    assert got.data == bytes(262144) + data + bytes(262144) + b"0123456789"
    assert file.read(2**40, 5) == (b"", [], None)
    assert cache.get(Tag(b"nfs", b"vol", b"file", 1)).data == data
`),
);

check(
  "invalidates, relinquishes, retires, and other coherency data is a mismatch",
  withPython(`
with Client(path) as cache:
    def acquire(coherency, size=10):
        volume = cache.acquire_volume(b"nfs", b"vol")
        return volume, volume.acquire_cookie(b"file", coherency=coherency, size=size)
    volume, file = acquire(b"1")
    file.write(0, b"0123456789")
    file.invalidate(coherency=b"2", size=5)
    assert file.size == 5 and file.read(0, 5).missing == [Range(0, 5)]
    file.write(0, b"abcde")
    file.relinquish(coherency=b"3")
    refused("E_NOT_FOUND", lambda: file.invalidate())
    volume, file = acquire(b"3", 5)
    assert file.outcome == "found" and file.read(0, 5).data == b"abcde"
    second = volume.acquire_cookie(b"file", coherency=b"4")
    assert second.outcome == "invalidated"
    assert file.read(0, 5).bypass == "stale" and file.write(0, b"xxxxx") == ([], "stale")
    second.write(0, b"fghij")
    second.relinquish(retire=True)
    volume.invalidate()
    volume.relinquish(invalidate=True)
    assert cache.get(Tag(b"nfs", b"vol", b"file", 0)).kind == "miss"
`),
);

check(
  "gets the codes of what it does wrong, and goes on",
  withPython(`
with Client(path) as cache:
    tag = Tag(b"nfs", b"vol", b"file", 0)
    refused("E_ARGUMENT", lambda: cache.put(tag, b""))
    refused("E_ARGUMENT", lambda: cache.put(tag, bytes(262145)))
    refused("E_ARGUMENT", lambda: cache.get(tag._replace(fs=b"")))
    refused("E_ARGUMENT", lambda: cache.get(tag._replace(volume="text")))
    refused("E_ARGUMENT", lambda: cache.get(tag, offset=262145))
    refused("E_ARGUMENT", lambda: cache.call("ping", b"payload"))
    refused("E_OPERATION", lambda: cache.call("no such thing"))
    refused("E_NOT_FOUND", lambda: cache.call("read", handle=99, offset=0, length=1))
    cache.ping()
    assert cache.connection == 1
`),
);

check(
  "is refused with versions that the daemon does not speak, and with a frame that is none",
  withPython(`
cache = Client(path, versions=(2, 9))
refused("E_PROTOCOL_VERSION", cache.ping)
cache = Client(path)
cache.ping()
cache._socket.sendall(b"GET / HTTP/1.1\\r\\n\\r\\n")
refused("E_FRAME", cache.ping)
cache.ping()
assert cache.connection == 2
`),
);

check("gives up at its deadline when nobody answers", async () => {
  await withSilentServer(
    () => undefined,
    async (socketPath) => {
      await python(
        socketPath,
        `
cache = Client(path, deadline=0.3)
began = time.monotonic()
assert cache.get(Tag(b"f", b"v", b"i", 0)) == Answer("bypass", b"", "timeout")
assert cache.put(Tag(b"f", b"v", b"i", 0), bytes(262144)).reason == "timeout"
try:
    cache.status()
    assert False
except Unavailable as error:
    assert error.reason == "timeout"
assert 0.9 <= time.monotonic() - began < 5
`,
      );
    },
  );
});

check("answers a bypass when the connection is lost, and finds the next daemon", async () => {
  await withSilentServer(
    (socket) => socket.once("data", () => socket.destroy()),
    async (socketPath) => {
      await python(
        socketPath,
        `
cache = Client(path)
assert cache.get(Tag(b"f", b"v", b"i", 0)).reason == "unavailable"
assert Client(path + "-none").get(Tag(b"f", b"v", b"i", 0)).reason == "unavailable"
`,
      );
    },
  );
});

check("loses its handles with the connection, and works on a new one", async () => {
  await withDaemon(async (daemon) => {
    await python(
      join(daemon.directory, "sock"),
      `
cache = Client(path)
file = cache.acquire_volume(b"f", b"v").acquire_cookie(b"i", size=4)
file.write(0, b"data")
cache.close()
assert file.read(0, 4) == (bytes(4), [Range(0, 4)], "unavailable")
file = cache.acquire_volume(b"f", b"v").acquire_cookie(b"i")
assert file.read(0, 4).data == b"data"
`,
    );
  });
});

check("takes no garbage for a reply", async () => {
  for (const garbage of [
    "HTTP/1.1 200 OK\r\n\r\n",
    "TCF\u0001\u00ff\u00ff\u00ff\u00ff\0\0\0\0",
    "TCF\u0001\u0001\0\0\0\0\0\0\0\u00c1",
  ]) {
    await withSilentServer(
      (socket) => socket.end(Buffer.from(garbage, "latin1")),
      async (socketPath) => {
        await python(socketPath, `assert Client(path).get(Tag(b"f", b"v", b"i", 0)).reason == "unavailable"`);
      },
    );
  }
});

check(
  "writes parts of blocks, notes zeros, resizes and invalidates",
  withPython(`
with Client(path) as cache:
    volume = cache.acquire_volume(b"nfs", b"vol")
    file = volume.acquire_cookie(b"file", size=3 * 262144)
    data = bytes(i % 253 + 1 for i in range(12288))
    # Whole pages of it; what is left out at the ends is told.
    assert file.write(5000, data) == ([Range(8192, 8192)], None)
    got = file.read(4096, 16384)
    assert got.missing == [Range(4096, 4096), Range(16384, 4096)]
    assert got.data == bytes(4096) + data[3192:11384] + bytes(4096)
    # A page that is there can be written in part.
    assert file.write(10000, b"xyz").stored == [Range(10000, 3)]
    assert file.read(9999, 5).data == data[4999:5000] + b"xyz" + data[5003:5004]
    assert file.zero(262144, 262144) == ([Range(262144, 262144)], None)
    assert file.read(262140, 8) == (bytes(8), [Range(262140, 4)], None)
    assert file.zero(8193, 4).stored == [Range(8193, 4)]
    assert file.read(8192, 6).data == data[3192:3193] + bytes(4) + data[3197:3198]
    # The file ends in the middle of a page.
    file.resize(300001)
    assert file.size == 300001
    assert file.read(300000, 10) == (bytes(1), [], None)
    file.resize(400000)
    assert file.size == 400000 and file.read(300001, 4).missing == [Range(300001, 4)]
    file.write(262144, bytes(8192))
    file.invalidate_range(262145, 1)
    assert file.read(262144, 8192).missing == [Range(262144, 4096)]
    cache.invalidate(b"nfs", b"vol", b"file", 8192, 1)
    assert file.read(8192, 8192).missing == [Range(8192, 4096)]
    for names in (b"nfs", b"vol", b"file"), (b"nfs", b"vol"), (b"nfs",):
        file.write(0, bytes(4096))
        assert file.read(0, 4096).missing == []
        cache.invalidate(*names)
        assert file.read(0, 4096).missing == [Range(0, 4096)]
    refused("E_ARGUMENT", lambda: file.zero(0, 2**30 + 1))
    refused("E_ARGUMENT", lambda: file.resize(2**63))
    refused("E_ARGUMENT", lambda: file.invalidate_range(2**63 - 1, 1))
    refused("E_ARGUMENT", lambda: cache.invalidate(b"nfs", inode=b"file"))
    refused("E_ARGUMENT", lambda: cache.invalidate(b"nfs", b"vol", offset=0, length=1))
    refused("E_ARGUMENT", lambda: cache.invalidate(b"nfs", b"vol", b"file", offset=0))
`),
);

/** A server that speaks no protocol of ours. */
async function withSilentServer(
  onSocket: (socket: Socket) => unknown,
  body: (socketPath: string) => Promise<void>,
): Promise<void> {
  await withDirectory(async (directory) => {
    const socketPath = join(directory, "sock");
    const sockets = new Set<Socket>();
    const server: Server = createServer((socket) => {
      sockets.add(socket);
      socket.on("error", () => undefined);
      onSocket(socket);
    });
    await new Promise<void>((resolve) => server.listen(socketPath, resolve));
    try {
      await body(socketPath);
    } finally {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    }
  });
}

run();
