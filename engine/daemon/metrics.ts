/** The metrics listener: figures for Prometheus under /metrics, and /healthz, over HTTP. It reads and changes nothing. */
import {
  type IncomingMessage,
  type Server as HttpServer,
  type ServerResponse,
  createServer,
} from "node:http";
import type { AddressInfo } from "node:net";
import { CacheError, errnoOf, isCacheError, messageOf } from "../../index/core/errors.js";
import type { BlockCache, CacheStatus } from "../api.js";
import { Exposition } from "./exposition.js";
import type { Logger } from "./logger.js";
import { LoopLag } from "./loop-lag.js";
import type { MetricsAddress } from "./metrics-address.js";
import { metricsText } from "./metrics-text.js";
import type { Server } from "./server.js";
import { VolumeSeries } from "./volume-series.js";

export { type MetricsAddress, parseMetricsAddress } from "./metrics-address.js";

export interface MetricsOptions {
  /** Stays the caller's. */
  readonly cache: BlockCache;
  readonly server: Pick<Server, "figures">;
  readonly address: MetricsAddress;
  readonly log: Logger;
  /** How long a status may take; STATUS_MS unless given. */
  readonly statusMs?: number;
}

export interface Metrics {
  /** As it is written in a URL. */
  readonly address: string;
  /** From here on /healthz answers that the daemon stops; /metrics goes on. */
  stopping(): void;
  /** Ends the listener and its connections. Idempotent. */
  close(): Promise<void>;
}

/** A cache that does not tell its status in this time is not well. */
export const STATUS_MS = 1000;
const CONNECTIONS_MAX = 32;
const HEADER_BYTES_MAX = 8192;
const REQUEST_MS = 5000;
const IDLE_MS = 30_000;
/** How often the listener looks for connections that overstay. */
const LOOK_EVERY_MS = 1000;

/**
 * Starts to listen. An address that other machines may reach is told in the log.
 * @throws {CacheError} E_BUSY the port is taken; E_CONFIG this machine cannot listen there.
 */
export async function startMetrics(options: MetricsOptions): Promise<Metrics> {
  const listener = new MetricsListener(options);
  await listener.listen();
  return listener;
}

interface Answer {
  readonly code: number;
  readonly text: string;
  readonly headers?: Readonly<Record<string, string>>;
}

class MetricsListener implements Metrics {
  readonly #options: MetricsOptions;
  readonly #http: HttpServer;
  readonly #lag = new LoopLag();
  readonly #series = new VolumeSeries();
  /** The status under way: whoever asks meanwhile gets the same. */
  #status: Promise<CacheStatus> | undefined;
  #stopping = false;
  #closing: Promise<void> | undefined;
  #address = "";

  constructor(options: MetricsOptions) {
    this.#options = options;
    this.#http = createServer(
      {
        maxHeaderSize: HEADER_BYTES_MAX,
        headersTimeout: REQUEST_MS,
        requestTimeout: REQUEST_MS,
        keepAliveTimeout: IDLE_MS,
        connectionsCheckingInterval: LOOK_EVERY_MS,
      },
      (request, response) => {
        void this.#serve(request, response); // answers its own failures
      },
    );
    this.#http.maxConnections = CONNECTIONS_MAX;
  }

  get address(): string {
    return this.#address;
  }

  async listen(): Promise<void> {
    const { address, log } = this.#options;
    const { host, port, loopback } = address;
    const shown = host.includes(":") ? `[${host}]` : host;
    try {
      await new Promise<void>((resolve, reject) => {
        this.#http.once("error", reject);
        this.#http.listen({ host, port }, resolve);
      });
    } catch (cause) {
      const errno = errnoOf(cause);
      const code = errno === "EADDRINUSE" ? "E_BUSY" : "E_CONFIG";
      const message = `Cannot serve metrics on ${shown}:${port}: ${errno ?? messageOf(cause)}`;
      throw new CacheError(code, message, { cause });
    }
    this.#http.removeAllListeners("error");
    this.#http.on("error", (error) => log.warn("cannot accept a scrape", { error: messageOf(error) }));
    this.#lag.start();
    this.#address = `${shown}:${(this.#http.address() as AddressInfo).port}`;
    log.info("metrics over HTTP", { address: this.#address });
    if (!loopback) log.warn("other machines may read the metrics, names of volumes included", { host });
  }

  stopping(): void {
    this.#stopping = true;
  }

  close(): Promise<void> {
    this.#closing ??= new Promise((resolve) => {
      this.#lag.stop();
      this.#http.close(() => resolve());
      this.#http.closeAllConnections();
    });
    return this.#closing;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { code, text, headers } = await this.#answer(request);
    request.resume();
    response.writeHead(code, {
      "Content-Type": "text/plain; charset=utf-8",
      "Cache-Control": "no-store",
      "X-Content-Type-Options": "nosniff",
      ...headers,
    });
    response.end(text);
  }

  async #answer({ method, url = "" }: IncomingMessage): Promise<Answer> {
    const [path] = url.split("?", 1);
    if (path !== "/metrics" && path !== "/healthz") return { code: 404, text: "want /metrics or /healthz\n" };
    if (method !== "GET") return { code: 405, text: "want GET\n", headers: { Allow: "GET" } };
    try {
      return path === "/metrics" ? await this.#metrics() : await this.#health();
    } catch (error) {
      if (isCacheError(error)) return { code: 503, text: `${error.message}\n` };
      this.#options.log.error("a scrape failed inside the daemon", { error: messageOf(error) });
      return { code: 500, text: "the daemon failed, its log says how\n" };
    }
  }

  async #metrics(): Promise<Answer> {
    const status = await this.#timely();
    const text = await metricsText({
      status,
      server: this.#options.server.figures(),
      volumes: this.#series.update(status),
      loopLag: this.#lag.status(),
    });
    return { code: 200, text, headers: { "Content-Type": Exposition.contentType } };
  }

  async #health(): Promise<Answer> {
    const trouble = this.#stopping ? "stopping" : troubleOf(await this.#timely());
    return trouble === undefined ? { code: 200, text: "ok\n" } : { code: 503, text: `${trouble}\n` };
  }

  /** @throws {CacheError} E_TIMEOUT; what status throws. */
  async #timely(): Promise<CacheStatus> {
    const { cache, statusMs = STATUS_MS } = this.#options;
    this.#status ??= cache.status().finally(() => {
      this.#status = undefined;
    });
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      const error = new CacheError(
        "E_TIMEOUT",
        `Cannot tell: the cache gave no status within ${statusMs} ms`,
      );
      timer = setTimeout(reject, statusMs, error);
    });
    return Promise.race([this.#status, late]).finally(() => clearTimeout(timer));
  }
}

/** Why a cache with this status is not well, in a word or two. */
function troubleOf(status: CacheStatus): string | undefined {
  if (status.state !== "running") return status.state;
  return status.health.state === "ok" ? undefined : "the drive is sick";
}
