/** Serves a cache to CVMFS clients as their external cache plugin, on a Unix socket or a port of the loopback. */
import { chmodSync } from "node:fs";
import { type AddressInfo, type Server as NetServer, type Socket, createServer } from "node:net";
import { CacheError, errnoOf, messageOf } from "../../../index/core/errors.js";
import type { OwnedCache } from "../../api.js";
import { BufferPool } from "../buffer-pool.js";
import { DRAIN_MS } from "../limits.js";
import type { Logger } from "../logger.js";
import { clearStaleSocket } from "../socket-path.js";
import type { CvmfsAddress } from "./address.js";
import { Connection, type ConnectionParts } from "./connection.js";
import {
  ALL_REQUEST_BYTES_MAX,
  BACKLOG,
  CONNECTIONS_MAX,
  DETACH_EVERY_MS,
  DETACH_SHARE,
  RELOAD_GRACE_MS,
} from "./limits.js";
import { FS, VOLUMES, rankOf, recordOf } from "./object-names.js";
import { OpenObjects } from "./open-objects.js";
import { Shrinks } from "./shrinks.js";

export type { CvmfsAddress } from "./address.js";

export interface CvmfsServerOptions {
  /** Stays the caller's: close() does not close it. */
  readonly cache: OwnedCache;
  readonly address: CvmfsAddress;
  readonly log: Logger;
  /** Release of the daemon, for handshakes. */
  readonly version: string;
  /** Nobody is connected any more, and nobody has said that it would be back. */
  readonly onIdle?: () => void;
  /** How long open references outlive a client that reloads; RELOAD_GRACE_MS unless given. */
  readonly reloadGraceMs?: number;
  /** For tests: a monotonic clock in milliseconds. */
  readonly now?: () => number;
}

export interface CvmfsServer {
  /** As clients name it. */
  readonly locator: string;
  readonly connections: number;
  /** Whether a client has ever shaken hands. */
  readonly visited: boolean;
  /** Stops listening, lets requests that were received finish for at most `drainMs`, then closes all connections. Idempotent. */
  close(options?: { readonly drainMs?: number }): Promise<void>;
}

/**
 * Listens; resolves when clients can connect. A socket has mode 0600.
 * @throws {CacheError} E_DIRECTORY the path is no socket, or neither path nor port can be used; E_BUSY somebody listens there.
 */
export async function startCvmfsServer(options: CvmfsServerOptions): Promise<CvmfsServer> {
  if (options.address.kind === "unix") await clearStaleSocket(options.address.path);
  const server = new PluginServer(options);
  await server.listen();
  return server;
}

class PluginServer implements CvmfsServer {
  readonly #options: CvmfsServerOptions;
  readonly #net: NetServer;
  /** In the order of their arrival. */
  readonly #connections = new Set<Connection>();
  readonly #objects: OpenObjects;
  readonly #parts: ConnectionParts;
  readonly #now: () => number;
  #sessions = 0;
  #detachedMs = Number.NEGATIVE_INFINITY;
  #closing: Promise<void> | undefined;
  #onAllClosed: () => void = () => undefined;

  constructor(options: CvmfsServerOptions) {
    const { cache, log, version, address, now = () => performance.now() } = options;
    this.#options = options;
    this.#now = now;
    this.#objects = new OpenObjects(cache, {
      graceMs: options.reloadGraceMs ?? RELOAD_GRACE_MS,
      onChange: () => this.#onChange(),
      onExpired: () => this.#tellIfIdle(),
    });
    this.#parts = {
      cache,
      log,
      pool: new BufferPool(),
      objects: this.#objects,
      shrinks: new Shrinks(now),
      onChange: () => this.#onChange(),
      name: `tagcache ${version}`,
      pid: address.kind === "unix" ? process.pid : undefined,
      nextSessionId: () => (this.#sessions += 1),
      inFlight: { bytes: 0, bytesMax: ALL_REQUEST_BYTES_MAX },
      onClosed: (connection) => this.#onClosed(connection),
    };
    this.#net = createServer({ noDelay: true }, (socket) => this.#onConnection(socket));
  }

  get locator(): string {
    const { address } = this.#options;
    if (address.kind === "unix") return `unix=${address.path}`;
    const bound = this.#net.address() as AddressInfo | null;
    return `tcp=${address.host}:${bound?.port ?? address.port}`;
  }

  get connections(): number {
    return this.#connections.size;
  }

  get visited(): boolean {
    return this.#sessions > 0;
  }

  async listen(): Promise<void> {
    const { address, log } = this.#options;
    const place =
      address.kind === "unix" ? { path: address.path } : { host: address.host, port: address.port };
    try {
      await new Promise<void>((resolve, reject) => {
        this.#net.once("error", reject);
        this.#net.listen({ ...place, backlog: BACKLOG }, resolve);
      });
      if (address.kind === "unix") chmodSync(address.path, 0o600);
    } catch (cause) {
      this.#net.close();
      const code = errnoOf(cause) === "EADDRINUSE" ? "E_BUSY" : "E_DIRECTORY";
      const reason = errnoOf(cause) ?? messageOf(cause);
      throw new CacheError(code, `Cannot listen for CVMFS clients on ${this.locator}: ${reason}`, { cause });
    }
    this.#net.removeAllListeners("error");
    // Accepting can fail for want of descriptors; who is connected already must not notice.
    this.#net.on("error", (error) => log.warn("cannot accept a CVMFS client", { error: messageOf(error) }));
    log.info("listening for CVMFS clients", { locator: this.locator });
    void this.#recallRanks();
  }

  close(options?: { readonly drainMs?: number }): Promise<void> {
    this.#closing ??= this.#close(options?.drainMs ?? DRAIN_MS);
    return this.#closing;
  }

  async #close(drainMs: number): Promise<void> {
    const stopped = new Promise<void>((resolve) => {
      this.#net.close(() => resolve());
    });
    const drained = new Promise<void>((resolve) => {
      this.#onAllClosed = resolve;
    });
    if (this.#connections.size === 0) this.#onAllClosed();
    for (const connection of this.#connections) connection.drain();
    const timer = setTimeout(() => {
      for (const connection of this.#connections) connection.destroy();
    }, drainMs);
    await Promise.all([stopped, drained]);
    clearTimeout(timer);
    this.#objects.close();
  }

  /** After a restart the cache does not know any more which objects go first and which last. */
  async #recallRanks(): Promise<void> {
    const { cache, log } = this.#options;
    try {
      for (const volume of VOLUMES) {
        for (let after: Buffer | undefined; ;) {
          const { files, more } = await cache.files({ fs: FS, volume }, after === undefined ? {} : { after });
          for (const { inode, look } of files) {
            const record = recordOf(look);
            if (record !== undefined) cache.rank({ fs: FS, volume, inode }, rankOf(record.type));
          }
          after = files.at(-1)?.inode;
          if (!more || after === undefined || this.#closing !== undefined) break;
        }
      }
    } catch (error) {
      log.debug("ranks of CVMFS objects are not known yet", { error: messageOf(error) });
    }
  }

  #onConnection(socket: Socket): void {
    const connection = new Connection(this.#parts, socket);
    this.#connections.add(connection);
    if (this.#closing !== undefined) connection.drain();
    if (this.#connections.size <= CONNECTIONS_MAX) return;
    // Whoever holds a connection without a word gives way first: a client shakes hands at once.
    const silent = [...this.#connections].find(({ greeted }) => !greeted) ?? connection;
    this.#options.log.warn("too many CVMFS connections", { most: CONNECTIONS_MAX });
    silent.destroy();
  }

  /** Clients release what they hold only for speed when they are asked to; so that it can't fill the cache for ever. */
  #onChange(): void {
    const { cache } = this.#options;
    const { keptBytes } = cache.holds;
    if (keptBytes <= cache.limits.slotBytesMax * DETACH_SHARE) {
      this.#detachedMs = Number.NEGATIVE_INFINITY;
      return;
    }
    if (this.#now() - this.#detachedMs < DETACH_EVERY_MS) return;
    this.#detachedMs = this.#now();
    this.#options.log.info("open objects fill the cache: clients are asked to let go", { keptBytes });
    for (const connection of this.#connections) connection.askToDetach();
  }

  #onClosed(connection: Connection): void {
    this.#connections.delete(connection);
    if (this.#connections.size === 0) this.#onAllClosed();
    if (connection.greeted) this.#tellIfIdle();
  }

  /** Who only looks whether somebody answers is no client. */
  #tellIfIdle(): void {
    const clients = [...this.#connections].some(({ greeted }) => greeted);
    if (!clients && this.#objects.parked === 0) this.#options.onIdle?.();
  }
}
