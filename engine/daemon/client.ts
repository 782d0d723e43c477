/** A cache behind a Unix socket: the same interface as the library. Protocol: engine/PROTOCOL.md. */
import { CacheError } from "../../index/core/errors.js";
import { checkBlock, checkFsName, checkName, nameBuffer } from "../../index/core/names.js";
import type {
  AcquireVolumeOptions,
  BlockCache,
  CacheStatus,
  CullReport,
  FsckCalls,
  GetOptions,
  GetResult,
  InvalidateTarget,
  LeaseOptions,
  LeaseResult,
  NameBytes,
  PutResult,
  Tag,
  VolumeHandle,
} from "../api.js";
import {
  checkBlockPayload,
  checkCoherency,
  checkInvalidate,
  checkSpan,
  checkUsedBytesMax,
} from "./arguments.js";
import { DirectClient } from "./client-direct.js";
import { readResolution } from "./direct-codec.js";
import type { Span } from "../span.js";
import { AdminClient } from "./client-admin.js";
import { bypassOf, closedError, failureOf, reasonOf } from "./client-call.js";
import type { CallOptions } from "./client-call.js";
import { askForLease } from "./client-lease.js";
import { RemoteVolume } from "./client-handles.js";
import { openLink } from "./client-link.js";
import type { Link } from "./client-link.js";
import { decodeEntries } from "./config-codec.js";
import type { ConfigEntry } from "./config-service.js";
import { Fields } from "./fields.js";
import { wireInteger } from "./headers.js";
import type { Header } from "./headers.js";
import type { Hello } from "./hello.js";
import type { TraceCalls } from "../trace-api.js";
import type { TuneCalls } from "../tune-api.js";
import { checkSocketPath } from "./socket-path.js";
import { decodeStatus } from "./status-codec.js";

export type { TraceOptions, TraceState, TraceStatus } from "../trace-api.js";
export type { TuneAdvice } from "../tune-api.js";
export type { ConfigEntry } from "./config-service.js";
export type { Hello, HelloLimits } from "./hello.js";

/** How long a call may take unless told otherwise: longer than a cold drive needs, shorter than a person waits. */
export const DEADLINE_MS = 1000;
/** A wipe waits for what is under way in the daemon. */
export const WIPE_DEADLINE_MS = 10_000;
/** A cull, or a smaller capacity, gives back as much as it is told to, which may be a whole drive. A lost connection still ends it at once. */
export const CULL_DEADLINE_MS = 10 * 60_000;

export interface ConnectOptions {
  readonly socketPath: string;
  /** How long connecting, and every call, may take; DEADLINE_MS unless given. */
  readonly deadlineMs?: number;
  /**
   * `auto`, the default: slot files are read here, without the daemon, where they may be read and are those that the daemon
   * names, and everything else is asked of it; answers are the same. `off`: everything is asked of the daemon.
   */
  readonly direct?: "auto" | "off";
  /** Whether what is read here is checked against its checksums; true unless given. What the daemon reads is always. */
  readonly verify?: boolean;
}

/**
 * The daemon's cache. Every call is settled within the deadline: content calls with a bypass (`timeout`, `unavailable`,
 * `overload`), `has` with false, the others with E_TIMEOUT, E_UNAVAILABLE or E_LIMIT. After a timeout or a lost
 * connection calls are answered so at once, while the client looks for the daemon in the background and comes back by
 * itself. A handle ends with its connection: then its reads and writes are bypassed as `stale`, its other calls fail with
 * E_NOT_FOUND, and it is to be acquired again. An idle client does not keep its process alive.
 */
export interface CacheClient extends BlockCache, TraceCalls, TuneCalls {
  /** What the daemon said when the present or last connection began. */
  readonly hello: Hello;
  /** Checks of the daemon's cache; E_OPERATION where it makes none. */
  readonly fsck: FsckCalls;
  /** Time of a round trip. @throws {CacheError} E_TIMEOUT, E_UNAVAILABLE, E_LIMIT, E_CLOSED. */
  ping(): Promise<{ ms: number }>;
  /** The daemon's configuration as it stands. @throws {CacheError} as ping; E_OPERATION when it has none. */
  config(): Promise<readonly ConfigEntry[]>;
  /**
   * Changes settings of the running daemon, all or none; `default` goes back to what stood without. Resolves, with all
   * entries, when what they take away is given back to the drive.
   * @throws {CacheError} as config; E_ARGUMENT an unknown key or malformed value, E_CONFIG a contradiction or a key that
   *   needs a restart: nothing is changed. E_NO_SPACE as configure.
   */
  setConfig(changes: ReadonlyMap<string, string>): Promise<readonly ConfigEntry[]>;
  /** Asks the daemon to stop; resolves when it has agreed. @throws {CacheError} as ping. */
  stop(): Promise<void>;
}

/**
 * Connects to a daemon.
 * @throws {CacheError} E_UNAVAILABLE nobody listens on the socket; E_TIMEOUT no answer in time; E_ARGUMENT the path or
 *   the deadline; E_PROTOCOL_VERSION, E_LIMIT as the daemon says; E_FRAME it speaks something else.
 */
export async function connect(options: ConnectOptions): Promise<CacheClient> {
  const deadlineMs = options.deadlineMs ?? DEADLINE_MS;
  checkSocketPath(options.socketPath);
  if (!Number.isFinite(deadlineMs) || deadlineMs <= 0 || deadlineMs > 0x7fff_ffff) {
    throw new CacheError(
      "E_ARGUMENT",
      `Cannot use deadlineMs ${deadlineMs}: want more than 0, at most 2^31 - 1`,
    );
  }
  const link = await openLink({ socketPath: options.socketPath, deadlineMs });
  const direct =
    options.direct === "off" ? undefined : new DirectClient({ link, verify: options.verify ?? true });
  return new Client(link, deadlineMs, direct);
}

class Client extends AdminClient implements CacheClient {
  readonly #link: Link;
  readonly #deadlineMs: number;
  readonly #direct: DirectClient | undefined;

  constructor(link: Link, deadlineMs: number, direct: DirectClient | undefined) {
    super(link, deadlineMs);
    this.#link = link;
    this.#direct = direct;
    this.#deadlineMs = deadlineMs;
  }

  get hello(): Hello {
    return this.#link.hello;
  }

  async get(tag: Tag, options?: GetOptions): Promise<GetResult> {
    this.#checkOpen();
    const { offsetBytes, lengthBytes } = checkSpan(options);
    const found = this.#read(tag, { offsetBytes, lengthBytes }, options?.into);
    // A hit that is in memory costs no turn of the microtask queue either.
    const read = found instanceof Promise ? await found : found;
    if (read !== undefined) return { kind: "hit", bytes: read };
    const header = {
      op: "get",
      ...tagHeader(tag),
      ...(offsetBytes > 0 && { offset: offsetBytes }),
      ...(options?.lengthBytes !== undefined && { length: lengthBytes }),
      ...(this.#direct?.wanted === true && { resolve: true }),
    };
    const answer = await this.#link.call({
      header,
      replyBytesMax: lengthBytes,
      accept: (fields, payloadBytes) => {
        if (fields.raw("status") !== "hit") return undefined;
        return options?.into ?? Buffer.allocUnsafe(payloadBytes);
      },
    });
    if (answer.kind !== "reply") return { kind: "bypass", reason: bypassOf(answer) };
    const status = answer.fields.raw("status");
    if (status === "hit") {
      this.#direct?.learnTag(tag, readResolution(answer.fields));
      return { kind: "hit", bytes: answer.payload };
    }
    return status === "miss"
      ? { kind: "miss" }
      : { kind: "bypass", reason: reasonOf(answer.fields, "reason") };
  }

  async getOrLease(tag: Tag, options?: LeaseOptions): Promise<LeaseResult> {
    this.#checkOpen();
    const read = await this.#read(tag, checkSpan(options), options?.into);
    if (read !== undefined) return { kind: "hit", bytes: read };
    return askForLease(this.#link, this.#deadlineMs, () => tagHeader(tag), options);
  }

  async put(tag: Tag, bytes: Uint8Array): Promise<PutResult> {
    this.#checkOpen();
    checkBlockPayload(bytes);
    const answer = await this.#link.call({ header: { op: "put", ...tagHeader(tag) }, payload: bytes });
    if (answer.kind !== "reply") return { kind: "bypass", reason: bypassOf(answer) };
    if (answer.fields.raw("status") === "stored") return { kind: "stored" };
    return { kind: "bypass", reason: reasonOf(answer.fields, "reason") };
  }

  async has(tag: Tag): Promise<boolean> {
    this.#checkOpen();
    const answer = await this.#link.call({ header: { op: "has", ...tagHeader(tag) } });
    if (answer.kind === "reply") return answer.fields.flag("found");
    bypassOf(answer); // throws what is the caller's fault
    return false;
  }

  async remove(tag: Tag): Promise<boolean> {
    const reply = await this.#must("remove a block", { header: { op: "remove", ...tagHeader(tag) } });
    return reply.flag("removed");
  }

  async invalidate(target: InvalidateTarget): Promise<void> {
    const { fs, volume, inode, range } = checkInvalidate(target);
    await this.#must("invalidate", {
      header: {
        op: "invalidate",
        fs: checkFsName(fs),
        ...(volume !== undefined && { volume: checkName("volume", volume) }),
        ...(inode !== undefined && { inode: checkName("inode", inode) }),
        ...(range !== undefined && { offset: range.offsetBytes, length: range.lengthBytes }),
      },
    });
  }

  async acquireVolume(
    fs: NameBytes,
    volume: NameBytes,
    options?: AcquireVolumeOptions,
  ): Promise<VolumeHandle> {
    checkCoherency(options?.coherency);
    const coherency = options?.coherency === undefined ? {} : { coherency: options.coherency };
    const names = { fs: checkFsName(fs), volume: checkName("volume", volume) };
    const header = { op: "acquireVolume", ...names, ...coherency };
    const reply = await this.#must("acquire a volume", { header });
    return new RemoteVolume(this.#link, reply, this.#direct);
  }

  async status(): Promise<CacheStatus> {
    return decodeStatus((await this.#must("read the status", { header: { op: "status" } })).raw("cache"));
  }

  async cull(options: { readonly usedBytesMax: number }): Promise<CullReport> {
    this.#checkOpen();
    const usedBytesMax = wireInteger(checkUsedBytesMax(options.usedBytesMax));
    const reply = await this.#must("cull", {
      header: { op: "cull", usedBytesMax },
      deadlineMs: this.#atLeast(CULL_DEADLINE_MS),
    });
    const count = (key: string): number => reply.uint(key, Number.MAX_SAFE_INTEGER);
    return { blocks: count("blocks"), bytes: count("bytes"), usedBytes: count("usedBytes") };
  }

  async wipe(): Promise<void> {
    await this.#must("wipe", { header: { op: "wipe" }, deadlineMs: this.#atLeast(WIPE_DEADLINE_MS) });
  }

  async ping(): Promise<{ ms: number }> {
    const startMs = performance.now();
    await this.#must("ping", { header: { op: "ping" } });
    return { ms: performance.now() - startMs };
  }

  async config(): Promise<readonly ConfigEntry[]> {
    return decodeEntries(await this.#must("read the configuration", { header: { op: "config" } }));
  }

  async setConfig(changes: ReadonlyMap<string, string>): Promise<readonly ConfigEntry[]> {
    const header = { op: "configSet", changes: Object.fromEntries(changes) };
    const deadlineMs = this.#atLeast(CULL_DEADLINE_MS);
    return decodeEntries(await this.#must("change the configuration", { header, deadlineMs }));
  }

  async stop(): Promise<void> {
    await this.#must("stop the daemon", { header: { op: "stop" } });
  }

  async close(): Promise<void> {
    if (!this.#link.closed) await this.#direct?.close();
    await this.#link.close();
  }

  /** Reads here, if that can be done; a promise only if the bytes are not likely in memory. */
  #read(
    tag: Tag,
    { offsetBytes, lengthBytes }: Span,
    into?: Uint8Array,
  ): Buffer | undefined | Promise<Buffer | undefined> {
    if (this.#direct === undefined) return undefined;
    const wanted = { offsetBytes, lengthBytes, into: into && nameBuffer(into) };
    return this.#direct.get(tag, checkBlock(tag.block), wanted);
  }

  #checkOpen(): void {
    if (this.#link.closed) throw closedError();
  }

  /** For calls that take long by nature: their own deadline, unless the client's is longer still. */
  #atLeast(ms: number): number {
    return Math.max(this.#deadlineMs, ms);
  }

  async #must(action: string, options: CallOptions): Promise<Fields> {
    const answer = await this.#link.call(options);
    if (answer.kind !== "reply") throw failureOf(answer, action);
    return answer.fields;
  }
}

function tagHeader(tag: Tag): Header {
  const block = checkBlock(tag.block);
  return {
    fs: checkFsName(tag.fs),
    volume: checkName("volume", tag.volume),
    inode: checkName("inode", tag.inode),
    block: block > 0xffff_ffff ? BigInt(block) : block,
  };
}
