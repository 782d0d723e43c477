/**
 * A client of the soak in a process of its own: argv are the socket, the place of the board, its number, how many there are, a seed and
 * `auto` or `off` for direct reads. It stores in files of its own and reads everybody's, some of it at a time, until it is told
 * `{ stop: true }`; it says `ready`, `figures` now and then, and `done` with its tally.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type CookieHandle, type PutResult, type VolumeHandle, isCacheError } from "../../engine/cache.js";
import { type CacheClient, connect } from "../../engine/daemon/client.js";
import { PAGE_BYTES, SLOT_BYTES } from "../../index/core/layout.js";
import { residentOf } from "./samples.js";
import { BLOCKS, Board, FILES, PAGES, type Span, wholeBlock } from "./board.js";
import { Checker, pagesOf } from "./pages.js";
import { emptyTally, note } from "./tally.js";
import { randomOf } from "../support/temp-cache.js";

const [socketPath = "", place = "", me = "0", all = "1", seed = "1", direct = "auto"] = process.argv.slice(2);
const client = Number(me);
const clients = Number(all);
/** Files that are changed through handles; the others block by block. */
const HANDLE_FILES = 4;
const WORKERS = 4;
const DEADLINE_MS = 10_000;
const FIGURES_MS = 500;
/** A client that never pauses would measure the machine. */
const PAUSE_MS = 2;
const WRONG_MAX = 20;

const board = new Board(place);
const checker = new Checker(board);
const tally = emptyTally();
const random = randomOf(Number(seed));
const below = (end: number): number => Math.floor(random() * end);
/** Some are read far more often than others. */
const popular = (end: number): number => Math.floor(end * random() ** 3);
let version = 0;
let over = false;

function tagOf({ client: owner, file, page }: Span) {
  return { fs: "soak", volume: `client ${owner}`, inode: `file ${file}`, block: Math.floor(page / PAGES) };
}

/** Runs a call and notes what came of it: what it answers, or the code that it fails with. */
async function timed(what: string, call: () => Promise<string>): Promise<void> {
  const beganMs = performance.now();
  let outcome: string;
  try {
    outcome = await call();
  } catch (error) {
    if (!isCacheError(error)) throw error;
    outcome = error.code;
  }
  note(tally, what, outcome, performance.now() - beganMs);
}

/** Answers after which nobody knows what the daemon did. */
const UNKNOWN = /^(timeout|unavailable)$/;

interface Stored {
  readonly outcome: string;
  /** What took effect, all or a part. */
  readonly parts: readonly Span[];
}

/** Stores pages of a new version. */
async function storeAs(span: Span, store: (bytes: Buffer) => Promise<Stored>): Promise<string> {
  version += 1;
  const mine = version;
  board.set("begun", span, mine);
  const { outcome, parts } = await store(pagesOf(span, mine));
  for (const part of parts) board.set("floor", part, mine);
  if (!UNKNOWN.test(outcome)) board.set("settled", span, mine);
  return outcome;
}

function storedBlock(span: Span, result: PutResult): Stored {
  return result.kind === "stored"
    ? { outcome: "stored", parts: [span] }
    : { outcome: result.reason, parts: [] };
}

/** Content that is settled so far does not exist any more once `call` has taken effect. */
async function dropping(span: Span, call: () => Promise<unknown>): Promise<string> {
  const settled = board.read("settled", span);
  await call();
  const floor = board.read("floor", span);
  board.write(
    "floor",
    span,
    floor.map((least, index) => Math.max(least, (settled[index] as number) + 1)),
  );
  return "ok";
}

class Worker {
  readonly #cache: CacheClient;
  readonly #files: readonly number[];
  readonly #handles = new Map<string, { readonly volume: VolumeHandle; readonly cookie: CookieHandle }>();

  constructor(cache: CacheClient, worker: number) {
    this.#cache = cache;
    this.#files = Array.from({ length: FILES }, (_, file) => file).filter(
      (file) => file % WORKERS === worker,
    );
  }

  async run(): Promise<void> {
    while (!over) {
      await this.#step(random());
      await sleep(below(2 * PAUSE_MS));
    }
  }

  async #step(dice: number): Promise<void> {
    if (dice < 0.2) await this.#put(this.#own());
    else if (dice < 0.26) await this.#lease(this.#own());
    else if (dice < 0.28) await this.#remove(this.#own());
    else if (dice < 0.285) await this.#invalidateFile();
    else if (dice < 0.3) await this.#flush();
    else if (dice < 0.305) await this.#pin();
    else if (dice < 0.42) await this.#write();
    else if (dice < 0.425) await this.#invalidateRange();
    else if (dice < 0.55) await this.#readHandle();
    else await this.#get();
  }

  #ownFile(byHandle: boolean): number {
    const files = this.#files.filter((file) => file < HANDLE_FILES === byHandle);
    return files[popular(files.length)] as number;
  }

  #own(): Span {
    return wholeBlock(client, this.#ownFile(false), popular(BLOCKS));
  }

  async #put(span: Span): Promise<void> {
    await timed("put", () =>
      storeAs(span, async (bytes) => storedBlock(span, await this.#cache.put(tagOf(span), bytes))),
    );
  }

  async #lease(span: Span): Promise<void> {
    const least = board.least(span);
    await timed("lease", async () => {
      const answer = await this.#cache.getOrLease(tagOf(span), { waitMs: 50 });
      if (answer.kind === "hit") checker.check(span, answer.bytes, least);
      if (answer.kind === "bypass") return answer.reason;
      if (answer.kind !== "lease") return answer.kind;
      if (random() < 0.1) {
        await answer.lease.giveUp();
        return "given up";
      }
      return storeAs(span, async (bytes) => storedBlock(span, await answer.lease.put(bytes)));
    });
  }

  async #remove(span: Span): Promise<void> {
    await timed("remove", () => dropping(span, () => this.#cache.remove(tagOf(span))));
  }

  async #invalidateFile(): Promise<void> {
    const span = { client, file: this.#ownFile(random() < 0.5), page: 0, pages: BLOCKS * PAGES };
    const { fs: name, volume, inode } = tagOf(span);
    await timed("invalidate", () =>
      dropping(span, () => this.#cache.invalidate({ fs: name, volume, inode })),
    );
  }

  async #flush(): Promise<void> {
    const { fs: name, volume, inode } = tagOf(this.#own());
    await timed("flush", async () => {
      await this.#cache.flush({ fs: name, volume, inode });
      return "ok";
    });
  }

  async #pin(): Promise<void> {
    const { fs: name, volume, inode } = tagOf(this.#own());
    const what = { fs: name, volume, inode };
    await timed("pin", async () => {
      if (random() < 0.4) await this.#cache.pin(what);
      else await this.#cache.unpin(what);
      return "ok";
    });
  }

  async #get(): Promise<void> {
    const file = HANDLE_FILES + popular(FILES - HANDLE_FILES);
    const block = wholeBlock(popular(clients), file, popular(BLOCKS));
    const pages = random() < 0.4 ? PAGES : 1 + below(4);
    const first = below(PAGES - pages + 1);
    const span = { ...block, page: block.page + first, pages };
    const range = { offsetBytes: first * PAGE_BYTES, lengthBytes: pages * PAGE_BYTES };
    const least = board.least(span);
    await timed("get", async () => {
      const found = await this.#cache.get(tagOf(block), range);
      if (found.kind === "hit") checker.check(span, found.bytes, least);
      return found.kind === "bypass" ? found.reason : found.kind;
    });
  }

  /** Pages within a file. */
  #someOf(owner: number, file: number): Span {
    const pages = 1 + below(2 * PAGES);
    return { client: owner, file, page: below(BLOCKS * PAGES - pages + 1), pages };
  }

  async #write(): Promise<void> {
    const span = this.#someOf(client, this.#ownFile(true));
    await timed("write", () =>
      storeAs(span, async (bytes) => {
        const offset = BigInt(span.page * PAGE_BYTES);
        const { stored, bypass } = await this.#with(client, span.file, (cookie) =>
          cookie.write(offset, bytes),
        );
        await this.#forgetIf(bypass === "stale", client, span.file);
        const parts = stored.map(({ offsetBytes, lengthBytes }) => ({
          ...span,
          page: Number(offsetBytes) / PAGE_BYTES,
          pages: Number(lengthBytes) / PAGE_BYTES,
        }));
        return { outcome: bypass ?? "stored", parts };
      }),
    );
  }

  async #invalidateRange(): Promise<void> {
    const span = this.#someOf(client, this.#ownFile(true));
    await timed("invalidateRange", () =>
      dropping(span, async () => {
        const [offset, length] = [BigInt(span.page * PAGE_BYTES), BigInt(span.pages * PAGE_BYTES)];
        await this.#with(client, span.file, (cookie) => cookie.invalidateRange(offset, length));
      }),
    );
  }

  async #readHandle(): Promise<void> {
    const owner = popular(clients);
    const span = this.#someOf(owner, below(HANDLE_FILES));
    const least = board.least(span);
    await timed("read", async () => {
      const offset = span.page * PAGE_BYTES;
      const { bytes, missing, bypass } = await this.#with(owner, span.file, (cookie) =>
        cookie.read(BigInt(offset), span.pages * PAGE_BYTES),
      );
      await this.#forgetIf(bypass === "stale", owner, span.file);
      const absent = new Set<number>();
      for (const range of missing) {
        const first = (Number(range.offsetBytes) - offset) / PAGE_BYTES;
        for (let at = 0; at < Number(range.lengthBytes) / PAGE_BYTES; at += 1) absent.add(first + at);
      }
      for (let at = 0; at < span.pages; at += 1) {
        if (absent.has(at)) continue;
        const page = bytes.subarray(at * PAGE_BYTES, (at + 1) * PAGE_BYTES);
        checker.check({ ...span, page: span.page + at, pages: 1 }, page, least.subarray(at, at + 1));
      }
      if (bypass !== undefined) return bypass;
      return absent.size === 0 ? "hit" : absent.size === span.pages ? "miss" : "partly";
    });
  }

  /** A handle that has ended, by a wipe or with its connection, is forgotten. */
  async #with<T>(owner: number, file: number, body: (cookie: CookieHandle) => Promise<T>): Promise<T> {
    try {
      return await body(await this.#cookie(owner, file));
    } catch (error) {
      const ended = isCacheError(error, "E_STALE") || isCacheError(error, "E_NOT_FOUND");
      await this.#forgetIf(ended, owner, file);
      throw error;
    }
  }

  /** A handle on a file of any client, acquired anew when it has ended with its connection. */
  async #cookie(owner: number, file: number): Promise<CookieHandle> {
    const key = `${owner}/${file}`;
    const known = this.#handles.get(key);
    if (known !== undefined && random() > 0.05) return known.cookie;
    await this.#forgetIf(true, owner, file);
    const volume = await this.#cache.acquireVolume("soak", `client ${owner}`);
    const sizeBytes = BigInt(BLOCKS * SLOT_BYTES);
    const cookie = await volume.acquireCookie(`file ${file}`, { coherency: Buffer.from("one"), sizeBytes });
    this.#handles.set(key, { volume, cookie });
    return cookie;
  }

  async #forgetIf(ended: boolean, owner: number, file: number): Promise<void> {
    const key = `${owner}/${file}`;
    const handles = this.#handles.get(key);
    if (!ended || handles === undefined) return;
    this.#handles.delete(key);
    for (const handle of [handles.cookie, handles.volume]) {
      try {
        await handle.relinquish();
      } catch (error) {
        if (!isCacheError(error)) throw error; // they had ended with their connection
      }
    }
  }
}

function tell(said: string): void {
  const { rssAnonBytes, descriptors } = residentOf(process.pid);
  process.send?.({ said, sample: { rssAnonBytes, descriptors }, wrong: checker.wrong.length });
}

try {
  const cache = await connect({
    socketPath,
    deadlineMs: DEADLINE_MS,
    direct: direct === "off" ? "off" : "auto",
  });
  const workers = Array.from({ length: WORKERS }, (_, worker) => new Worker(cache, worker));
  process.on("message", ({ stop }: { stop?: boolean }) => {
    if (stop === true) over = true;
  });
  tell("ready");
  const timer = setInterval(() => {
    tell("figures");
    if (checker.wrong.length >= WRONG_MAX) over = true;
  }, FIGURES_MS);
  await Promise.all(workers.map((worker) => worker.run()));
  clearInterval(timer);
  await cache.close();
  tally.bytesChecked = checker.bytes;
  tally.wrong = checker.wrong.slice(0, WRONG_MAX);
  process.send?.({ said: "done", tally });
} catch (error) {
  process.send?.({ said: "failed", error: String(error instanceof Error ? error.stack : error) });
}
process.disconnect?.();
