/** The client's half of flush, list, explain and pins. Format: engine/PROTOCOL.md "Flush, list, explain, pins". */
import { FS_NAME_BYTES_MAX, NAME_BYTES_MAX } from "../../index/core/layout.js";
import { checkBlock, checkFsName, checkName } from "../../index/core/names.js";
import { type Selector, checkSelector } from "../../index/core/selector.js";
import {
  type AdminCalls,
  type Explanation,
  type FlushReport,
  LIST_ENTRIES_MAX,
  type ListEntry,
  type ListPage,
  type PageOptions,
  type PinOptions,
  type PinPage,
  type PinReport,
  type PinStatus,
} from "../admin-api.js";
import type { FsckCalls, NameBytes, ScrubOptions, Tag, TrustCalls } from "../api.js";
import { checkInteger } from "./arguments.js";
import { closedError, failureOf } from "./client-call.js";
import type { Link } from "./client-link.js";
import { fsckClient } from "./fsck-operations.js";
import { decodeExplanation } from "./explanation-codec.js";
import { mapOf, mapsOf } from "./field-maps.js";
import type { Fields } from "./fields.js";
import { wireInteger } from "./headers.js";
import type { Header } from "./headers.js";
import type { TuneAdvice, TuneCalls } from "../tune-api.js";
import { decodeAdvice } from "./tune-operations.js";
import { TRACE_BYTES_MAX, type TraceCalls, type TraceOptions, type TraceStatus } from "../trace-api.js";
import { decodeTrace } from "./trace-operations.js";

/** These walk the index, however large it is. A lost connection still ends them at once. */
export const ADMIN_DEADLINE_MS = 10 * 60_000;
const COUNT_MAX = Number.MAX_SAFE_INTEGER;

/** What a client says to the daemon for an operator; the rest of the client builds on it. */
export class AdminClient implements AdminCalls, TraceCalls, TrustCalls, TuneCalls {
  readonly fsck: FsckCalls;
  readonly #link: Link;
  readonly #deadlineMs: number;

  constructor(link: Link, deadlineMs: number) {
    this.fsck = fsckClient((action, headerOf) => this.#ask(action, headerOf));
    this.#link = link;
    this.#deadlineMs = Math.max(deadlineMs, ADMIN_DEADLINE_MS);
  }

  async flush(what: Selector, options?: { readonly dryRun?: boolean }): Promise<FlushReport> {
    const flag = options?.dryRun === true ? { dryRun: true } : {};
    const reply = await this.#ask("flush", () => ({ op: "flush", ...selectorHeader(what), ...flag }));
    const dropped = mapOf(reply, "dropped");
    const skipped = mapOf(reply, "skipped");
    return {
      dropped: { blocks: dropped.uint("blocks", COUNT_MAX), bytes: dropped.uint("bytes", COUNT_MAX) },
      skipped: {
        inUse: skipped.uint("inUse", COUNT_MAX),
        pinned: skipped.uint("pinned", COUNT_MAX),
        unsent: skipped.uint("unsent", COUNT_MAX),
      },
    };
  }

  async list(what: Selector, page: PageOptions<NameBytes> = {}): Promise<ListPage> {
    const { after, limit } = page;
    const reply = await this.#ask("list", () => ({
      op: "ls",
      ...selectorHeader(what),
      ...(after !== undefined && { after: afterOf(what, after) }),
      ...limitHeader(limit),
    }));
    return { entries: mapsOf(reply, "entries").map(listEntryOf), more: reply.flag("more") };
  }

  async explain(tag: Tag): Promise<Explanation> {
    const reply = await this.#ask("explain a block", () => ({
      op: "explain",
      fs: checkFsName(tag.fs),
      volume: checkName("volume", tag.volume),
      inode: checkName("inode", tag.inode),
      block: wireInteger(checkBlock(tag.block)),
    }));
    return decodeExplanation(mapOf(reply, "block"));
  }

  async pin(what: Selector, options?: PinOptions): Promise<PinReport> {
    const flag = options?.refetched === true ? { refetched: true } : {};
    const reply = await this.#ask("pin", () => ({ op: "pin", ...selectorHeader(what), ...flag }));
    return {
      added: reply.flag("added"),
      blocks: reply.uint("blocks", COUNT_MAX),
      bytes: reply.uint("bytes", COUNT_MAX),
    };
  }

  async unpin(what: Selector): Promise<{ readonly removed: number }> {
    const reply = await this.#ask("unpin", () => ({ op: "unpin", ...selectorHeader(what) }));
    return { removed: reply.uint("removed", COUNT_MAX) };
  }

  async pins(page: PageOptions<number> = {}): Promise<PinPage> {
    const { after, limit } = page;
    const reply = await this.#ask("list pins", () => ({
      op: "pins",
      ...(after !== undefined && { after: wireInteger(checkInteger("after", after, COUNT_MAX)) }),
      ...limitHeader(limit),
    }));
    return { pins: mapsOf(reply, "pins").map(pinStatusOf), more: reply.flag("more") };
  }

  async startTrace({ path, bytesMax }: TraceOptions): Promise<TraceStatus> {
    const bound =
      bytesMax === undefined
        ? {}
        : { bytesMax: wireInteger(checkInteger("bytesMax", bytesMax, TRACE_BYTES_MAX)) };
    return decodeTrace(await this.#ask("record accesses", () => ({ op: "traceStart", path, ...bound })));
  }

  async stopTrace(): Promise<TraceStatus> {
    return decodeTrace(await this.#ask("end the recording", () => ({ op: "traceStop" })));
  }

  async traceStatus(): Promise<TraceStatus> {
    return decodeTrace(await this.#ask("show the recording", () => ({ op: "trace" })));
  }

  async scrub({ bytesPerSecond }: ScrubOptions = {}): Promise<void> {
    await this.#ask("scrub", () => ({
      op: "scrub",
      ...(bytesPerSecond !== undefined && {
        rate: wireInteger(checkInteger("rate", bytesPerSecond, COUNT_MAX)),
      }),
    }));
  }

  async tuneAdvice(): Promise<TuneAdvice> {
    return decodeAdvice(await this.#ask("ask for advice", () => ({ op: "tune" })));
  }

  async #ask(action: string, headerOf: () => Header): Promise<Fields> {
    if (this.#link.closed) throw closedError();
    const answer = await this.#link.call({ header: headerOf(), deadlineMs: this.#deadlineMs });
    if (answer.kind !== "reply") throw failureOf(answer, action);
    return answer.fields;
  }
}

function selectorHeader(what: Selector): Header {
  const selection = checkSelector(what);
  return selection.fs === undefined ? { all: true } : { ...selection };
}

/** A name of what the selector lists. */
function afterOf(what: Selector, after: NameBytes): Buffer {
  const { fs, volume } = checkSelector(what);
  return fs === undefined ? checkFsName(after) : checkName(volume === undefined ? "volume" : "inode", after);
}

function limitHeader(limit: number | undefined): Header {
  if (limit === undefined) return {};
  if (limit === 0) checkInteger("limit", -1, LIST_ENTRIES_MAX);
  return { limit: checkInteger("limit", limit, LIST_ENTRIES_MAX) };
}

function listEntryOf(entry: Fields): ListEntry {
  return {
    name: entry.bytesCopy("name", NAME_BYTES_MAX),
    blocks: entry.uint("blocks", COUNT_MAX),
    bytes: entry.uint("bytes", COUNT_MAX),
    ...(entry.has("volumes") && { volumes: entry.uint("volumes", COUNT_MAX) }),
    ...(entry.has("sizeBytes") && { sizeBytes: entry.uint63("sizeBytes") }),
    ...(entry.has("pinned") && { pinned: entry.flag("pinned") }),
  };
}

function pinStatusOf(pin: Fields): PinStatus {
  return {
    id: pin.uint("id", COUNT_MAX),
    fs: pin.bytesCopy("fs", FS_NAME_BYTES_MAX),
    volume: pin.bytesCopy("volume", NAME_BYTES_MAX),
    ...(pin.has("inode") && { inode: pin.bytesCopy("inode", NAME_BYTES_MAX) }),
    ...(pin.has("inodePrefix") && { inodePrefix: pin.bytesCopy("inodePrefix", NAME_BYTES_MAX) }),
    files: pin.uint("files", COUNT_MAX),
    sizeBytes: pin.uint63("sizeBytes"),
    blocks: pin.uint("blocks", COUNT_MAX),
    bytes: pin.uint("bytes", COUNT_MAX),
    protectedBytes: pin.uint("protectedBytes", COUNT_MAX),
    refetch: pin.flag("refetch"),
  };
}
