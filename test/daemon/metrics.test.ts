import assert from "node:assert/strict";
import { connect as connectTcp } from "node:net";
import { suite } from "uvu";
import { isCacheError } from "../../index/core/errors.js";
import type { BlockCache, CacheStatus } from "../../engine/api.js";
import type { Logger } from "../../engine/daemon/logger.js";
import { silentLogger } from "../../engine/daemon/logger.js";
import { type Metrics, parseMetricsAddress, startMetrics } from "../../engine/daemon/metrics.js";
import { MemoryCache } from "../model/memory-cache.js";
import { type Family, parseExposition } from "./exposition-parser.js";
import { sleep, withServer } from "./with-server.js";
import type { TestServer } from "./with-server.js";

const test = suite("metrics");

interface Listening {
  readonly metrics: Metrics;
  readonly server: TestServer;
  readonly get: (path: string, method?: string) => Promise<{ code: number; text: string; headers: Headers }>;
  readonly scrape: () => Promise<Map<string, Family>>;
}

async function withMetrics(
  cache: BlockCache,
  body: (listening: Listening) => Promise<void>,
  options: { statusMs?: number; log?: Logger; address?: string } = {},
): Promise<void> {
  await withServer({ cache }, async (server) => {
    const metrics = await startMetrics({
      cache,
      server: server.server,
      address: parseMetricsAddress(options.address ?? ":0"),
      log: options.log ?? silentLogger,
      ...(options.statusMs !== undefined && { statusMs: options.statusMs }),
    });
    const get: Listening["get"] = async (path, method = "GET") => {
      const response = await fetch(`http://${metrics.address}${path}`, { method });
      return { code: response.status, text: await response.text(), headers: response.headers };
    };
    const scrape = async () => {
      const { code, text } = await get("/metrics");
      assert.equal(code, 200, text);
      return parseExposition(text);
    };
    try {
      await body({ metrics, server, get, scrape });
    } finally {
      await metrics.close();
    }
  });
}

function valueOf(families: Map<string, Family>, name: string, labels: Record<string, string> = {}): number {
  const found = families
    .get(name)
    ?.samples.find((sample) =>
      Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
    );
  return found?.value ?? assert.fail(`no ${name} with ${JSON.stringify(labels)}`);
}

const tag = (volume: string, block = 0) => ({ fs: "f", volume, inode: "i", block });

test("are text that a strict reader takes, with help, types and names after the rules", async () => {
  await withMetrics(new MemoryCache(), async ({ get, scrape, server }) => {
    const client = await server.connect();
    await client.put(tag("v"), Buffer.from("abc"));
    await client.get(tag("v"));
    const { headers } = await get("/metrics");
    assert.equal(headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    for (const [name, { help, type, samples }] of await scrape()) {
      assert.match(name, /^(tagcache|process)_[a-z_]+$/);
      assert.ok(help.length > 5, name);
      assert.ok(samples.length > 0, name);
      assert.equal(type === "counter", name.endsWith("_total"), name);
      for (const { value } of samples) assert.ok(value >= 0 && Number.isFinite(value), name);
    }
    await client.close();
  });
});

test("show what the cache and its socket did", async () => {
  await withMetrics(new MemoryCache(), async ({ scrape, server }) => {
    const client = await server.connect();
    await client.put(tag("v"), Buffer.from("abc"));
    await client.get(tag("v"));
    await client.get(tag("v", 1));
    await client.remove(tag("v"));
    await assert.rejects(client.cull({ usedBytesMax: -1 }));
    const found = await scrape();
    assert.equal(valueOf(found, "tagcache_requests_total", { op: "get", result: "hit" }), 1);
    assert.equal(valueOf(found, "tagcache_requests_total", { op: "get", result: "miss" }), 1);
    assert.equal(valueOf(found, "tagcache_requests_total", { op: "put", result: "stored" }), 1);
    assert.equal(valueOf(found, "tagcache_bytes_total", { dir: "hit" }), 3);
    assert.equal(valueOf(found, "tagcache_volume_hits_total", { fs: "f", volume: "v" }), 1);
    assert.equal(valueOf(found, "tagcache_bypasses_total", { reason: "no-space" }), 0);
    assert.equal(valueOf(found, "tagcache_socket_requests_total", { op: "hello", status: "ok" }), 1);
    assert.equal(valueOf(found, "tagcache_socket_requests_total", { op: "get", status: "miss" }), 1);
    assert.equal(valueOf(found, "tagcache_socket_requests_total", { op: "remove", status: "ok" }), 1);
    assert.equal(valueOf(found, "tagcache_connections"), 1);
    assert.equal(valueOf(found, "tagcache_connections_total", { result: "accepted" }), 1);
    await client.close();
  });
});

test("never go back from one scrape to the next", async () => {
  await withMetrics(new MemoryCache(), async ({ scrape, server }) => {
    const client = await server.connect();
    const last = new Map<string, number>();
    for (let round = 0; round < 6; round += 1) {
      for (let volume = 0; volume < 30; volume += 1) {
        await client.put(tag(`v${volume}`), Buffer.from("abc"));
        for (let turn = 0; turn < (volume * (round + 3)) % 7; turn += 1) await client.get(tag(`v${volume}`));
      }
      for (const [name, { type, samples }] of await scrape()) {
        if (type === "gauge") continue;
        for (const sample of samples) {
          const key = `${sample.name} ${JSON.stringify(sample.labels)}`;
          // A volume that fell behind and came back is a new series.
          const known =
            name.startsWith("tagcache_volume") && sample.labels["volume"] !== "other" ? 0 : last.get(key);
          assert.ok(sample.value >= (known ?? 0), `${key} went from ${known} to ${sample.value}`);
          last.set(key, sample.value);
        }
      }
    }
    const volumes = (await scrape()).get("tagcache_volume_puts_total")?.samples ?? [];
    assert.equal(volumes.length, 21);
    await client.close();
  });
});

test("have histograms whose buckets add up", async () => {
  await withMetrics(new MemoryCache(), async ({ scrape }) => {
    await sleep(100);
    const families = await scrape();
    assert.ok(valueOf(families, "tagcache_eventloop_lag_seconds") >= 0);
    for (const name of ["tagcache_op_seconds", "tagcache_eventloop_lag_seconds"]) {
      const { samples = [], type } = families.get(name) ?? {};
      assert.equal(type, "histogram");
      const series = new Map<string, { bounds: number[]; counts: number[] }>();
      for (const { name: sampleName, labels, value } of samples) {
        if (!sampleName.endsWith("_bucket")) continue;
        const one = series.get(labels["op"] ?? "") ?? { bounds: [], counts: [] };
        one.bounds.push(labels["le"] === "+Inf" ? Infinity : Number(labels["le"]));
        one.counts.push(value);
        series.set(labels["op"] ?? "", one);
      }
      for (const [op, { bounds, counts }] of series) {
        for (let place = 1; place < bounds.length; place += 1) {
          assert.ok((bounds[place] as number) > (bounds[place - 1] as number));
          assert.ok((counts[place] as number) >= (counts[place - 1] as number));
        }
        const count = samples.find((one) => one.name === `${name}_count` && (one.labels["op"] ?? "") === op);
        assert.equal(bounds.at(-1), Infinity);
        assert.equal(counts.at(-1), count?.value);
      }
    }
  });
});

test("write names of any bytes as one label each", async () => {
  const names = [
    'quote"',
    "back\\slash",
    "line\nfeed",
    "\u0000\u00ff",
    "é😀",
    "}",
    'a",b="c',
    "x".repeat(60_000),
  ];
  const cache = new MemoryCache();
  for (const name of names) await cache.put(tag(name), Buffer.from("abc"));
  await withMetrics(cache, async ({ scrape }) => {
    const samples = (await scrape()).get("tagcache_volume_puts_total")?.samples ?? [];
    assert.equal(samples.length, names.length + 1);
    for (const name of ['quote"', "back\\slash", "é😀", "}", 'a",b="c'])
      assert.ok(
        samples.some(({ labels }) => labels["volume"] === name),
        name,
      );
  });
});

test("/healthz is well while the cache is", async () => {
  await withMetrics(new MemoryCache(), async ({ get, metrics }) => {
    assert.deepEqual(await answer(get("/healthz")), [200, "ok\n"]);
    assert.deepEqual(await answer(get("/healthz?x=1")), [200, "ok\n"]);
    metrics.stopping();
    assert.deepEqual(await answer(get("/healthz")), [503, "stopping\n"]);
    assert.equal((await get("/metrics")).code, 200);
  });
});

test("/healthz says why the cache is not well", async () => {
  class Closing extends MemoryCache {
    override async status(): Promise<CacheStatus> {
      return { ...(await super.status()), state: "closing" };
    }
  }
  await withMetrics(new Closing(), async ({ get }) => {
    assert.deepEqual(await answer(get("/healthz")), [503, "closing\n"]);
  });
  const closed = new MemoryCache();
  await withMetrics(closed, async ({ get }) => {
    await closed.close();
    const [code, text] = await answer(get("/healthz"));
    assert.equal(code, 503);
    assert.match(text, /^Cannot use the cache: .*\n$/);
    assert.equal((await get("/metrics")).code, 503);
  });
});

test("/healthz waits no longer than its time for a cache that hangs, and asks it once", async () => {
  let asked = 0;
  let goOn = (): void => undefined;
  const hangs = new MemoryCache({
    before: async (operation) => {
      if (operation !== "status") return;
      asked += 1;
      await new Promise<void>((resolve) => (goOn = resolve));
    },
  });
  await withMetrics(
    hangs,
    async ({ get }) => {
      const answers = await Promise.all([get("/healthz"), get("/healthz"), get("/metrics")]);
      for (const { code, text } of answers) {
        assert.equal(code, 503);
        assert.match(text, /no status within 50 ms/);
      }
      assert.equal(asked, 1);
      goOn();
      await sleep(10);
      const later = get("/healthz");
      await sleep(10);
      goOn();
      assert.equal((await later).code, 200);
    },
    { statusMs: 50 },
  );
});

test("a failure of our own is an answer too, and says nothing of the inside", async () => {
  class Broken extends MemoryCache {
    override status(): Promise<CacheStatus> {
      return Promise.reject(new TypeError("secret"));
    }
  }
  await withMetrics(new Broken(), async ({ get }) => {
    const [code, text] = await answer(get("/metrics"));
    assert.equal(code, 500);
    assert.doesNotMatch(text, /secret/);
  });
});

test("take no other method and no other path", async () => {
  await withMetrics(new MemoryCache(), async ({ get }) => {
    for (const path of ["/", "/metrics/", "/healthz/x", "//metrics"])
      assert.equal((await get(path)).code, 404);
    for (const method of ["POST", "PUT", "DELETE", "HEAD", "OPTIONS"]) {
      const { code, headers } = await get("/metrics", method);
      assert.equal(code, 405, method);
      assert.equal(headers.get("allow"), "GET");
    }
  });
});

test("are not kept from others by many connections, large headers or broken requests", async () => {
  await withMetrics(new MemoryCache(), async ({ get, metrics }) => {
    const [host = "", port = ""] = metrics.address.split(":");
    const sockets = Array.from({ length: 40 }, () => connectTcp({ host, port: Number(port) }));
    for (const socket of sockets) socket.on("error", () => undefined);
    const closed = await Promise.all(
      sockets.map(async (socket) => {
        await sleep(300);
        const gone = socket.readyState === "closed" || socket.readableEnded;
        if (!gone) socket.write(`GET /metrics HTTP/1.1\r\nX: ${"x".repeat(10_000)}\r\n\r\n`);
        return gone;
      }),
    );
    assert.equal(closed.filter(Boolean).length, 8, "those over the limit");
    await sleep(100);
    for (const socket of sockets) socket.destroy();
    await sleep(50);
    assert.equal((await get("/healthz")).code, 200);
  });
});

test("tell in the log when other machines may read them", async () => {
  const warnings: string[] = [];
  const log: Logger = { ...silentLogger, warn: (message) => void warnings.push(message) };
  await withMetrics(new MemoryCache(), async () => undefined, { log });
  assert.deepEqual(warnings, []);
  await withMetrics(new MemoryCache(), async () => undefined, { log, address: "0.0.0.0:0" });
  assert.equal(warnings.length, 1);
});

test("a port that is taken, and an address that is not ours, are refused with a code", async () => {
  await withMetrics(new MemoryCache(), async ({ metrics, server }) => {
    const listen = (address: string) =>
      startMetrics({
        cache: new MemoryCache(),
        server: server.server,
        address: parseMetricsAddress(address),
        log: silentLogger,
      });
    await assert.rejects(listen(metrics.address), (error) => isCacheError(error, "E_BUSY"));
    await assert.rejects(listen("192.0.2.1:9"), (error) => isCacheError(error, "E_CONFIG"));
  });
});

test("an address is HOST:PORT, and without a host this machine's own", () => {
  const wanted: ReadonlyArray<readonly [string, string, number, boolean]> = [
    [":9100", "127.0.0.1", 9100, true],
    ["127.0.0.1:0", "127.0.0.1", 0, true],
    ["127.8.9.1:1", "127.8.9.1", 1, true],
    ["localhost:65535", "localhost", 65_535, true],
    ["[::1]:9100", "::1", 9100, true],
    ["[::]:9100", "::", 9100, false],
    ["0.0.0.0:9100", "0.0.0.0", 9100, false],
    ["node-1.example:9100", "node-1.example", 9100, false],
    ["localhost.example:9100", "localhost.example", 9100, false],
  ];
  for (const [text, host, port, loopback] of wanted)
    assert.deepEqual(parseMetricsAddress(text), { host, port, loopback });
  for (const text of [
    "",
    ":",
    "9100",
    "host:",
    "host:x",
    "host:65536",
    ":-1",
    "::1:9100",
    "[::1]",
    "[zz]:1",
    "[1.2.3.4]:1",
    "*:9100",
    "a b:1",
    "http://host:1",
    ":9100/metrics",
    "host:1\n",
  ]) {
    assert.throws(
      () => parseMetricsAddress(text),
      (error) => isCacheError(error, "E_ARGUMENT") && !error.message.includes("\n"),
      text,
    );
  }
});

async function answer(got: Promise<{ code: number; text: string }>): Promise<[number, string]> {
  const { code, text } = await got;
  return [code, text];
}

test.run();
