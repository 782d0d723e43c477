/** Volume and cookie handles that live in the daemon, for as long as the connection they were acquired on. */
import { CacheError } from "../../index/core/errors.js";
import { checkName } from "../../index/core/names.js";
import type {
  AcquireCookieOptions,
  AcquireOutcome,
  BypassReason,
  CookieHandle,
  FileReadResult,
  FileWriteResult,
  NameBytes,
  VolumeHandle,
} from "../api.js";
import {
  checkCoherency,
  checkFileRange,
  checkFileSize,
  checkRead,
  checkWrite,
  checkZero,
} from "./arguments.js";
import { bypassOf, failureOf, reasonOf } from "./client-call.js";
import type { CallOptions } from "./client-call.js";
import type { Link } from "./client-link.js";
import type { DirectClient } from "./client-direct.js";
import { readResolution } from "./direct-codec.js";
import type { Known } from "../direct/known-names.js";
import { bytesBeforeEnd, endOfBlock, piecesOf } from "../file-ranges.js";
import { RemoteMetadata } from "./client-metadata.js";
import type { Fields } from "./fields.js";
import type { Header } from "./headers.js";
import { presentRanges, spreadParts } from "./ranges.js";
import type { Part } from "./ranges.js";

/** What volumes and cookies have in common. */
class RemoteHandle {
  readonly link: Link;
  readonly id: number;
  readonly generation: number;
  readonly outcome: AcquireOutcome;
  over = false;

  readonly direct: DirectClient | undefined;

  constructor(link: Link, reply: Fields, direct: DirectClient | undefined) {
    this.link = link;
    this.direct = direct;
    this.generation = link.generation;
    this.id = reply.uint("handle", Number.MAX_SAFE_INTEGER);
    this.outcome = outcomeOf(reply);
  }

  /** It belongs to a connection that has ended. */
  get dead(): boolean {
    return this.generation !== this.link.generation || !this.link.connected;
  }

  checkOpen(): void {
    if (this.over || this.link.closed) {
      throw new CacheError("E_CLOSED", "Cannot use the handle: it was relinquished or its client closed");
    }
  }

  async must(action: string, header: Header): Promise<Fields> {
    const answer = await this.link.call(this.options(header));
    if (answer.kind !== "reply") throw failureOf(answer, action);
    return answer.fields;
  }

  /** Quiet when the handle is gone already, unless something was to happen to the content. */
  async giveUp(op: string, extra: Header): Promise<void> {
    this.checkOpen();
    this.over = true;
    const answer = await this.link.call(this.options({ op, ...extra }));
    if (answer.kind === "reply") return;
    const gone = answer.kind === "dead" || answer.kind === "unavailable";
    if (!gone || Object.keys(extra).length > 0) throw failureOf(answer, "relinquish a handle");
  }

  options(header: Header): CallOptions {
    return { header: { ...header, handle: this.id }, generation: this.generation };
  }
}

export class RemoteVolume extends RemoteHandle implements VolumeHandle {
  async acquireCookie(inode: NameBytes, options?: AcquireCookieOptions): Promise<CookieHandle> {
    this.checkOpen();
    const names = { op: "acquireCookie", inode: checkName("inode", inode) };
    const header = { ...names, ...cookieHeader(options), ...resolveFlag(this.direct) };
    const reply = await this.must("acquire a cookie", header);
    return new RemoteCookie(this, reply);
  }

  async invalidate(): Promise<void> {
    this.checkOpen();
    await this.must("invalidate a volume", { op: "invalidateVolume" });
  }

  async relinquish(options?: {
    readonly coherency?: Uint8Array;
    readonly invalidate?: boolean;
  }): Promise<void> {
    const flag = options?.invalidate === true ? { invalidate: true } : {};
    await this.giveUp("relinquishVolume", { ...coherencyHeader(options?.coherency), ...flag });
  }
}

class RemoteCookie extends RemoteHandle implements CookieHandle {
  readonly metadata: RemoteMetadata;
  readonly #volume: RemoteVolume;
  #sizeBytes: bigint;
  /** For reads without the daemon; it says nothing any more once the file, its size or its version may be another. */
  #known: { readonly file: Known; readonly sizeBytes: bigint } | undefined;

  constructor(volume: RemoteVolume, reply: Fields) {
    super(volume.link, reply, volume.direct);
    this.#volume = volume;
    this.#sizeBytes = reply.uint63("size");
    this.#learn(reply);
    this.metadata = new RemoteMetadata(this);
  }

  get sizeBytes(): bigint {
    return this.#sizeBytes;
  }

  override checkOpen(): void {
    this.#volume.checkOpen();
    super.checkOpen();
  }

  async read(offsetBytes: bigint, lengthBytes: number): Promise<FileReadResult> {
    this.checkOpen();
    checkRead(offsetBytes, lengthBytes);
    const read = await this.#readDirect(offsetBytes, lengthBytes);
    if (read !== undefined) return { bytes: read, missing: [] };
    let bytes: Buffer | undefined;
    let parts: Part[] = [];
    const answer = await this.link.call({
      ...this.options({ op: "read", offset: offsetBytes, length: lengthBytes, ...resolveFlag(this.direct) }),
      replyBytesMax: lengthBytes,
      accept: (fields, payloadBytes) => {
        parts = readParts(fields, { offsetBytes, lengthBytes, payloadBytes });
        bytes = Buffer.allocUnsafe(fields.uint("length", lengthBytes));
        return bytes;
      },
    });
    if (answer.kind !== "reply") return this.#nothing(offsetBytes, lengthBytes, bypassOf(answer));
    this.#sizeBytes = answer.fields.uint63("size");
    this.#learn(answer.fields);
    const result = { bytes: bytes ?? Buffer.alloc(0), missing: answer.fields.ranges("missing") };
    if (result.missing.length > 0) spreadParts(result.bytes, parts);
    return answer.fields.has("bypass") ? { ...result, bypass: reasonOf(answer.fields, "bypass") } : result;
  }

  async write(offsetBytes: bigint, bytes: Uint8Array): Promise<FileWriteResult> {
    this.checkOpen();
    checkWrite(offsetBytes, bytes);
    return this.#store({ ...this.options({ op: "write", offset: offsetBytes }), payload: bytes });
  }

  async zero(offsetBytes: bigint, lengthBytes: number): Promise<FileWriteResult> {
    this.checkOpen();
    checkZero(offsetBytes, lengthBytes);
    return this.#store(this.options({ op: "zero", offset: offsetBytes, length: lengthBytes }));
  }

  async resize(sizeBytes: bigint): Promise<void> {
    this.checkOpen();
    checkFileSize(sizeBytes);
    this.#sizeBytes = (await this.must("resize a file", { op: "resize", size: sizeBytes })).uint63("size");
  }

  async invalidateRange(offsetBytes: bigint, lengthBytes: bigint): Promise<void> {
    this.checkOpen();
    checkFileRange(offsetBytes, lengthBytes);
    await this.must("invalidate a range", {
      op: "invalidateRange",
      offset: offsetBytes,
      length: lengthBytes,
    });
  }

  /** All of the range, if it can be read here; bytes of one moment, since any notice about the file in between ends it. */
  async #readDirect(offsetBytes: bigint, lengthBytes: number): Promise<Buffer | undefined> {
    const { direct } = this;
    const known = this.#known;
    if (direct === undefined || known === undefined || !known.file.valid || this.dead) return undefined;
    const length = bytesBeforeEnd(offsetBytes, lengthBytes, known.sizeBytes);
    if (length === 0) return undefined;
    const bytes = Buffer.allocUnsafe(length);
    const reads: Array<Buffer | Promise<Buffer | undefined>> = [];
    for (const { block, within, at, lengthBytes: pieceBytes } of piecesOf(offsetBytes, length)) {
      const endBytes = endOfBlock(block, known.sizeBytes);
      const into = bytes.subarray(at, at + pieceBytes);
      const read = direct.read(known.file, block, {
        offsetBytes: within,
        lengthBytes: pieceBytes,
        endBytes,
        into,
      });
      if (read === undefined) break;
      reads.push(read);
    }
    let doneBytes = 0;
    for (const read of reads) doneBytes += (await read)?.length ?? 0;
    if (doneBytes < length || !known.file.valid) return undefined;
    this.#sizeBytes = known.sizeBytes;
    return bytes;
  }

  #learn(fields: Fields): void {
    if (this.direct === undefined) return;
    const file = this.direct.learn(readResolution(fields));
    if (file === undefined) return;
    this.#forget();
    this.#known = { file, sizeBytes: this.#sizeBytes };
  }

  #forget(): void {
    if (this.#known !== undefined) this.direct?.forget(this.#known.file);
    this.#known = undefined;
  }

  async #store(call: CallOptions): Promise<FileWriteResult> {
    const answer = await this.link.call(call);
    if (answer.kind !== "reply") return { stored: [], bypass: bypassOf(answer) };
    this.#sizeBytes = answer.fields.uint63("size");
    const stored = answer.fields.ranges("stored");
    return answer.fields.has("bypass") ? { stored, bypass: reasonOf(answer.fields, "bypass") } : { stored };
  }

  async invalidate(options?: AcquireCookieOptions): Promise<void> {
    this.checkOpen();
    const header = { op: "invalidateCookie", ...cookieHeader(options) };
    this.#sizeBytes = (await this.must("invalidate a file", header)).uint63("size");
  }

  async relinquish(options?: { readonly coherency?: Uint8Array; readonly retire?: boolean }): Promise<void> {
    const flag = options?.retire === true ? { retire: true } : {};
    this.#forget();
    await this.giveUp("relinquishCookie", { ...coherencyHeader(options?.coherency), ...flag });
  }

  /** The whole range missing, cut at the end of the file as this handle knew it. */
  #nothing(offsetBytes: bigint, lengthBytes: number, bypass: BypassReason): FileReadResult {
    const left = this.#sizeBytes > offsetBytes ? this.#sizeBytes - offsetBytes : 0n;
    const cutBytes = left < BigInt(lengthBytes) ? Number(left) : lengthBytes;
    const missing = cutBytes > 0 ? [{ offsetBytes, lengthBytes: cutBytes }] : [];
    return { bytes: Buffer.alloc(cutBytes), missing, bypass };
  }
}

/** @throws {CacheError} E_FRAME when length, missing ranges and payload of the reply do not make up the range asked for. */
function readParts(
  fields: Fields,
  asked: { offsetBytes: bigint; lengthBytes: number; payloadBytes: number },
): Part[] {
  const length = fields.uint("length", asked.lengthBytes);
  const missing = fields.ranges("missing");
  const [first] = missing;
  const last = missing.at(-1);
  const inside =
    (first?.offsetBytes ?? asked.offsetBytes) >= asked.offsetBytes &&
    (last === undefined || last.offsetBytes + BigInt(last.lengthBytes) <= asked.offsetBytes + BigInt(length));
  const parts = inside ? presentRanges(asked.offsetBytes, length, missing) : [];
  const presentBytes = parts.reduce((sum, part) => sum + part.end - part.start, 0);
  if (inside && presentBytes === asked.payloadBytes) return parts;
  throw new CacheError("E_FRAME", "Cannot use a reply: its ranges do not make up what was asked for");
}

function cookieHeader(options: AcquireCookieOptions | undefined): Header {
  checkFileSize(options?.sizeBytes);
  const size = options?.sizeBytes === undefined ? {} : { size: options.sizeBytes };
  return { ...coherencyHeader(options?.coherency), ...size };
}

function coherencyHeader(coherency: Uint8Array | undefined): Header {
  checkCoherency(coherency);
  return coherency === undefined ? {} : { coherency };
}

function outcomeOf(reply: Fields): AcquireOutcome {
  const outcome = reply.text("outcome");
  if (outcome === "found" || outcome === "created" || outcome === "invalidated") return outcome;
  throw new CacheError("E_FRAME", `Cannot use a reply: its outcome is ${JSON.stringify(outcome)}`);
}

/** Asks for what the file's names mean, as long as there is something to read by it. */
function resolveFlag(direct: DirectClient | undefined): Header {
  return direct?.wanted === true ? { resolve: true } : {};
}
