/** The daemon's socket: serves a cache to other processes. Protocol: engine/PROTOCOL.md. */
import { chmodSync, chownSync } from "node:fs";
import { createServer } from "node:net";
import type { Server as NetServer, Socket } from "node:net";
import { CacheError, errnoOf, messageOf } from "../../index/core/errors.js";
import type { BlockCache, DirectSource, FsckCalls, TraceCalls } from "../api.js";
import type { TuneCalls } from "../tune-api.js";
import { BufferPool } from "./buffer-pool.js";
import type { ConfigService } from "./config-service.js";
import { Connection } from "./connection.js";
import type { ConnectionContext } from "./connection.js";
import { DRAIN_MS, SERVER_LIMITS } from "./limits.js";
import type { ServerLimits } from "./limits.js";
import { RequestCounts } from "./request-counts.js";
import type { Logger } from "./logger.js";
import { checkSocketPath, clearStaleSocket, socketNameOf } from "./socket-path.js";

export type { ConfigEntry, ConfigService } from "./config-service.js";
export type { ServerLimits } from "./limits.js";
export type { Logger } from "./logger.js";

export interface ServerOptions {
  /** Stays the caller's: close() does not close it. */
  readonly cache: BlockCache;
  /** Where a descriptor is passed: its name if that can't be found out. */
  readonly socketPath: string;
  /** A descriptor of a Unix socket that somebody else has made, and whose name and mode are theirs. */
  readonly descriptor?: number;
  readonly log: Logger;
  readonly limits?: Partial<ServerLimits>;
  /** A client has asked for a stop and has been answered. May be called more than once. */
  readonly onStopRequest: () => void;
  /** Release that the hello names. */
  readonly version: string;
  /** What the cache offers to clients that may read its files; without it they read everything over the socket. */
  readonly direct?: DirectSource;
  /** The group that may connect, by its number; nobody but the owner unless given. */
  readonly groupId?: number;
  /** Serves `config` and `configSet`; without it they are refused with E_OPERATION. */
  readonly config?: ConfigService;
  /** Serves `trace` and its kin; without it they are refused with E_OPERATION. */
  readonly trace?: TraceCalls;
  /** Serves `fsck` and its kin; without it they are refused with E_OPERATION. */
  readonly fsck?: FsckCalls;
  /** Serves `tune`; without it that is refused with E_OPERATION. */
  readonly tune?: TuneCalls;
}

/** What the metrics listener shows of a server. Counts are since its start. */
export interface ServerFigures {
  readonly connections: number;
  readonly accepted: number;
  readonly refused: number;
  readonly handles: number;
  readonly inFlight: { readonly requests: number; readonly bytes: number };
  readonly requests: Iterable<{
    readonly operation: string;
    readonly status: string;
    readonly count: number;
  }>;
}

export interface Server {
  /** The socket's name. */
  readonly socketPath: string;
  readonly connections: number;
  /** Requests whose replies have not left, and what they and their replies weigh. */
  readonly inFlight: { readonly requests: number; readonly bytes: number };
  figures(): ServerFigures;
  /**
   * Stops listening, removes the socket, lets requests that were received finish for at most `drainMs`, then closes all
   * connections. Idempotent. A client that does not read delays it by no more than that.
   */
  close(options?: { readonly drainMs?: number }): Promise<void>;
}

/** The kernel holds it to net.core.somaxconn. A full one would turn clients away that never did any harm. */
const BACKLOG = 4096;
/** Holds the requests that one read finds, and the beginning of a payload. */
const SCRATCH_BYTES = 64 * 1024;

/**
 * Listens on a Unix socket with mode 0600, or 0660 for a group; resolves when clients can connect. The caller owns the cache directory.
 * @throws {CacheError} E_ARGUMENT socket path too long; E_DIRECTORY the path is no socket or cannot be made one; E_BUSY
 *   somebody listens there; E_CONFIG the descriptor is none of a Unix socket that connections come in on.
 */
export async function startServer(options: ServerOptions): Promise<Server> {
  if (options.descriptor === undefined) {
    checkSocketPath(options.socketPath);
    await clearStaleSocket(options.socketPath);
  }
  const server = new SocketServer(options);
  await server.listen();
  return server;
}

function noUnixSocket(descriptor: number, found: string, cause?: unknown): CacheError {
  const message = `Cannot listen on descriptor ${descriptor}: ${found}, want a Unix stream socket`;
  return new CacheError("E_CONFIG", message, { cause });
}

class SocketServer implements Server {
  readonly #options: ServerOptions;
  readonly #net: NetServer;
  /** In the order of their arrival. */
  readonly #connections = new Set<Connection>();
  /** Over the limit, and given a moment to read why. */
  readonly #refused = new Set<Connection>();
  readonly #context: ConnectionContext;
  readonly #ticker: NodeJS.Timeout;
  #socketPath: string;
  #accepted = 0;
  #turnedAway = 0;
  #closing: Promise<void> | undefined;
  #onAllClosed: () => void = () => undefined;

  constructor(options: ServerOptions) {
    const limits = { ...SERVER_LIMITS, ...options.limits };
    const tickMs = Math.min(
      1000,
      Math.max(10, Math.min(limits.helloMs, limits.stallMs, limits.frameMs, limits.idleMs) / 4),
    );
    this.#options = options;
    this.#socketPath = options.socketPath;
    this.#context = {
      cache: options.cache,
      pool: new BufferPool(),
      scratch: Buffer.allocUnsafeSlow(SCRATCH_BYTES),
      limits,
      version: options.version,
      log: options.log,
      inFlight: { bytes: 0, requests: 0 },
      requests: new RequestCounts(),
      handles: { value: 0, max: limits.handles, granted: limits.handlesGranted },
      waits: { value: 0, max: limits.waits },
      tickMs,
      onStopRequest: options.onStopRequest,
      ...(options.trace !== undefined && { trace: options.trace }),
      ...(options.fsck !== undefined && { fsck: options.fsck }),
      ...(options.direct !== undefined && { direct: options.direct }),
      ...(options.tune !== undefined && { tune: options.tune }),
      ...(options.config !== undefined && { config: options.config }),
      onClosed: (connection) => this.#onClosed(connection),
    };
    this.#net = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) =>
      this.#onConnection(socket),
    );
    this.#ticker = setInterval(() => this.#tick(), tickMs);
    this.#ticker.unref();
  }

  get socketPath(): string {
    return this.#socketPath;
  }

  get connections(): number {
    return this.#connections.size;
  }

  get inFlight(): { readonly requests: number; readonly bytes: number } {
    return { ...this.#context.inFlight };
  }

  figures(): ServerFigures {
    return {
      connections: this.connections,
      accepted: this.#accepted,
      refused: this.#turnedAway,
      handles: this.#context.handles.value,
      inFlight: this.inFlight,
      requests: this.#context.requests.entries(),
    };
  }

  async listen(): Promise<void> {
    const { socketPath, groupId, log, descriptor } = this.#options;
    try {
      await this.#bind();
      if (groupId !== undefined && descriptor === undefined) chownSync(socketPath, -1, groupId);
      if (descriptor === undefined) chmodSync(socketPath, groupId === undefined ? 0o600 : 0o660);
    } catch (cause) {
      clearInterval(this.#ticker);
      this.#net.close();
      if (cause instanceof CacheError) throw cause;
      const reason = errnoOf(cause) ?? messageOf(cause);
      if (descriptor !== undefined) throw noUnixSocket(descriptor, reason, cause);
      throw new CacheError("E_DIRECTORY", `Cannot listen on ${socketPath}: ${reason}`, { cause });
    }
    this.#net.removeAllListeners("error");
    // Accepting can fail for want of descriptors; who is connected already must not notice.
    this.#net.on("error", (error) => log.warn("cannot accept a connection", { error: messageOf(error) }));
    log.info("listening", { socket: this.#socketPath });
  }

  async #bind(): Promise<void> {
    const { socketPath, descriptor } = this.#options;
    const place = descriptor === undefined ? { path: socketPath } : { fd: descriptor };
    await new Promise<void>((resolve, reject) => {
      this.#net.once("error", reject);
      this.#net.listen({ ...place, backlog: BACKLOG }, resolve);
    });
    if (descriptor === undefined) return;
    if (typeof this.#net.address() === "object" && this.#net.address() !== null) {
      throw noUnixSocket(descriptor, "it is of another family");
    }
    this.#socketPath = socketNameOf(descriptor) ?? socketPath;
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
    const all = [...this.#connections, ...this.#refused];
    for (const connection of all) connection.drain();
    if (all.length === 0) this.#onAllClosed();
    const timer = setTimeout(() => {
      this.#options.log.info("stop: closing connections that did not finish", { count: this.connections });
      for (const connection of [...this.#connections, ...this.#refused]) connection.destroy();
    }, drainMs);
    await Promise.all([stopped, drained]);
    clearTimeout(timer);
    clearInterval(this.#ticker);
  }

  #onConnection(socket: Socket): void {
    const connection = new Connection(this.#context, socket);
    this.#connections.add(connection);
    this.#accepted += 1;
    if (this.#closing !== undefined) {
      connection.drain();
      return;
    }
    const { connections: connectionsMax } = this.#context.limits;
    if (this.#connections.size <= connectionsMax) return;
    // Whoever holds connections without a word gives way first: a client says hello at once.
    const guilty = this.#oldestSilent(connection) ?? this.#mostIdle() ?? connection;
    this.#connections.delete(guilty);
    this.#turnedAway += 1;
    guilty.refuse(
      new CacheError("E_LIMIT", `Cannot serve more than ${connectionsMax} connections: try later`),
    );
    if (this.#refused.size >= connectionsMax) guilty.destroy();
    else this.#refused.add(guilty);
  }

  #oldestSilent(newcomer: Connection): Connection | undefined {
    for (const connection of this.#connections) {
      if (!connection.greeted && connection !== newcomer) return connection;
    }
    return undefined;
  }

  /** Of those idle for long enough: first of those that hold nothing, then of all. */
  #mostIdle(): Connection | undefined {
    const { idleMs, idleHoldingMs } = this.#context.limits;
    let found: { connection: Connection; ms: number; holding: boolean } | undefined;
    for (const connection of this.#connections) {
      const { ms, holding } = connection.idle;
      if (ms < (holding ? idleHoldingMs : idleMs)) continue;
      const better = found === undefined || (holding === found.holding ? ms > found.ms : !holding);
      if (better) found = { connection, ms, holding };
    }
    return found?.connection;
  }

  #tick(): void {
    for (const connection of this.#connections) connection.tick();
  }

  #onClosed(connection: Connection): void {
    this.#connections.delete(connection);
    this.#refused.delete(connection);
    if (this.#connections.size === 0 && this.#refused.size === 0) this.#onAllClosed();
  }
}
