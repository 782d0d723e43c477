/**
 * Walks the pages of a closed LMDB environment as a file, before anything maps it: LMDB does not check what it follows, and a
 * flipped bit in a page's head or in a node ends the process. Reading a file ends nobody.
 * Layout: mdb.c of lmdb-js 3 (data version 2): a page has a head of 24 bytes, offsets in it count from the end of that.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { join } from "node:path";
import { CacheError, messageOf } from "./core/errors.js";
import { shownPath } from "./core/own-files.js";
import type { Regime } from "./environment.js";
import {
  HEAD_BYTES,
  type Meta,
  NO_PAGE,
  PAGES_MAX,
  PAGE_BYTES,
  type TreeRecord,
  hasOurFlags,
  metaOf,
  treeAt,
  uint64,
} from "./page-meta.js";
import { checkMetaPages, environmentBytes } from "./preflight.js";

const NODE_BYTES = 8;
const TREE_BYTES = 48;
const BRANCH = 1;
const LEAF = 2;
const OVERFLOW = 4;
const BIG_DATA = 1;
const SUB_DATA = 2;
const DEPTH_MAX = 32;
/** Pages past the end of the file that are not free either: LMDB leaves none, and a few take no room that is missed. */
const NOBODYS_MAX = 256;
/** A look at the clock for so many pages. */
const PAGES_A_LOOK = 16;
const WINDOW_BYTES = 64 * PAGE_BYTES;

type Kind = "free" | "main" | "table";

interface Tree extends TreeRecord {
  readonly kind: Kind;
  /** Entries seen so far. */
  found: number;
}

/** Pages of a tree that are looked at together, in their order in the file. */
interface Level {
  readonly tree: Tree;
  /** 1 are the leaves. */
  readonly height: number;
  readonly pages: number[];
}

/** A value that lies in pages of its own. */
interface Value {
  readonly page: number;
  readonly bytes: number;
}

export interface PageCheck {
  /** How the commits of this environment were written: that decides which of them its next owner has. */
  readonly regime: Exclude<Regime, "volatile">;
  /** The walk ends after so long, however much is left; the upper levels of all trees come first. */
  readonly msMax?: number;
}

/**
 * Checks the commit that the next owner of an environment will have.
 * @returns whether all of it was looked at.
 * @throws {CacheError} E_INDEX_CORRUPT when there is none, or with the first thing that is wrong; E_IO when it can't be read.
 */
export function checkPages(directory: string, { regime, msMax = Infinity }: PageCheck): boolean {
  const endMs = performance.now() + msMax;
  const path = join(directory, "data.mdb");
  if (environmentBytes(directory) === 0)
    throw new CacheError("E_INDEX_CORRUPT", `Cannot open ${shownPath(path)}: there is nothing in it`);
  try {
    checkMetaPages(path);
    const descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      return new Walk(path, descriptor).run(regime, endMs);
    } finally {
      closeSync(descriptor);
    }
  } catch (cause) {
    if (cause instanceof CacheError) throw cause;
    throw new CacheError("E_IO", `Cannot read ${shownPath(path)}: ${messageOf(cause)}`, { cause });
  }
}

class Walk {
  readonly #path: string;
  readonly #descriptor: number;
  readonly #fileBytes: number;
  readonly #seen: Uint8Array;
  /** Free pages past the end of the file. */
  #past = 0;
  /** What was read last, and where in the file it begins: one read for many pages. */
  readonly #window = Buffer.alloc(WINDOW_BYTES);
  #windowAt = -1;
  readonly #trees: Tree[] = [];
  /** What has to be looked at; the walk goes level by level, so that it needs no page twice. */
  readonly #levels: Level[] = [];
  #lastPage = 0;
  /** Of the commit that is checked: a page that claims a later one would be taken for one that may be written to. */
  #transaction = 0;

  constructor(path: string, descriptor: number) {
    this.#path = path;
    this.#descriptor = descriptor;
    this.#fileBytes = fstatSync(descriptor).size;
    if (this.#fileBytes > PAGES_MAX * PAGE_BYTES) this.#fail(`${this.#fileBytes} bytes`);
    this.#seen = new Uint8Array(Math.ceil(this.#fileBytes / PAGE_BYTES));
  }

  run(regime: PageCheck["regime"], endMs: number): boolean {
    const meta = this.#meta(regime);
    if (meta.pageBytes !== PAGE_BYTES) this.#fail("another page size");
    this.#transaction = meta.transaction;
    // Of a commit that only the third meta page has, this was not looked at yet.
    if (meta.lastPage >= PAGES_MAX) this.#fail(`page ${meta.lastPage} as its last one`);
    this.#lastPage = meta.lastPage;
    this.#plant(meta.free, "free");
    this.#plant(meta.main, "main");
    let looks = 0;
    for (const { tree, height, pages } of this.#levels) {
      const below: number[] = [];
      for (const page of Uint32Array.from(pages).toSorted()) {
        looks += 1;
        if (looks % PAGES_A_LOOK === 0 && performance.now() > endMs) return false;
        this.#visit(page, height, tree, below);
      }
      if (height > 1) this.#levels.push({ tree, height: height - 1, pages: below });
    }
    for (const { found, entries } of this.#trees)
      if (found !== entries) this.#fail(`a tree of ${found} entries, want ${entries}`);
    const nobodys = this.#lastPage + 1 - this.#seen.length - this.#past;
    if (nobodys > NOBODYS_MAX) this.#fail(`page ${this.#lastPage} as its last one`);
    return true;
  }

  #meta(regime: PageCheck["regime"]): Meta {
    const pages = Buffer.alloc(2 * PAGE_BYTES);
    this.#read(pages, 0);
    const found = metaOf(pages, regime);
    return typeof found === "string" ? this.#fail(found) : found;
  }

  #plant(record: TreeRecord, kind: Kind): void {
    const { flags, depth, entries, root } = record;
    if (!hasOurFlags(record, kind === "free")) this.#fail(`a tree with flags ${flags}`);
    if (root === NO_PAGE) {
      if (depth !== 0 || entries !== 0) this.#fail("an empty tree with entries");
      return;
    }
    if (depth < 1 || depth > DEPTH_MAX) this.#fail(`a tree of depth ${depth}`);
    const tree = { ...record, kind, found: 0 };
    this.#trees.push(tree);
    this.#levels.push({ tree, height: depth, pages: [this.#number(root)] });
  }

  #visit(page: number, height: number, tree: Tree, below: number[]): void {
    const bytes = this.#take(page);
    const flags = bytes.readUInt16LE(18);
    if (flags !== (height > 1 ? BRANCH : LEAF)) this.#fail(`page ${page} with flags ${flags}`);
    const lower = bytes.readUInt16LE(20);
    const upper = bytes.readUInt16LE(22);
    if (lower % 2 !== 0 || lower > upper || upper > PAGE_BYTES - HEAD_BYTES) {
      this.#fail(`page ${page} with bounds ${lower} and ${upper}`);
    }
    const nodes = lower / 2;
    if (nodes === 0) this.#fail(`page ${page} without a node`);
    let [last, lastEnd] = [-1, -1];
    const values: Value[] = [];
    for (let place = 0; place < nodes; place += 1) {
      const offset = bytes.readUInt16LE(HEAD_BYTES + 2 * place);
      if (offset < upper || offset + NODE_BYTES > PAGE_BYTES - HEAD_BYTES) {
        this.#fail(`page ${page} with a node at ${offset}`);
      }
      const node = HEAD_BYTES + offset;
      const key = node + NODE_BYTES;
      const keyEnd = key + bytes.readUInt16LE(node + 6);
      if (keyEnd > PAGE_BYTES) this.#fail(`page ${page} with a key too long`);
      // The first key of a branch is empty; those of free pages are numbers.
      const ordered =
        tree.kind === "free" || last < 0 || bytes.compare(bytes, key, keyEnd, last, lastEnd) < 0;
      if (!ordered) this.#fail(`page ${page} with keys out of order`);
      if (height === 1 || place > 0) [last, lastEnd] = [key, keyEnd];
      if (height === 1) this.#leaf(page, bytes, { node, data: keyEnd, kind: tree.kind }, values);
      else if (place > 0 && keyEnd === key) this.#fail(`page ${page} without a key`);
      else below.push(this.#number(bytes.readUInt32LE(node) + bytes.readUInt16LE(node + 4) * 2 ** 32));
    }
    if (height === 1) tree.found += nodes;
    for (const value of values) this.#overflow(value, tree.kind);
  }

  /** @param values what lies in pages of its own, to be looked at when this page has been. */
  #leaf(
    page: number,
    of: Buffer,
    { node, data, kind }: { readonly node: number; readonly data: number; readonly kind: Kind },
    values: Value[],
  ): void {
    const bytes = of.readUInt32LE(node);
    const flags = of.readUInt16LE(node + 4);
    const inPage = (flags & BIG_DATA) === 0 ? bytes : 8;
    if (data + inPage > PAGE_BYTES) this.#fail(`page ${page} with a value too long`);
    const wanted = kind === "main" ? SUB_DATA : flags & BIG_DATA;
    if (flags !== wanted) this.#fail(`page ${page} with a node of flags ${flags}`);
    if (kind === "main") {
      if (bytes !== TREE_BYTES) this.#fail(`page ${page} with a table of ${bytes} bytes`);
      this.#plant(treeAt(of, data), "table");
    } else if (flags === BIG_DATA) values.push({ page: this.#number(uint64(of, data)), bytes });
    else if (kind === "free") this.#freePages(page, of.subarray(data, data + bytes));
  }

  #overflow({ page, bytes }: Value, kind: Kind): void {
    const head = this.#take(page);
    const count = head.readUInt32LE(20);
    const fits = count === Math.floor((HEAD_BYTES - 1 + bytes) / PAGE_BYTES) + 1;
    if (head.readUInt16LE(18) !== OVERFLOW || !fits) this.#fail(`page ${page}, which is no value`);
    for (let next = page + 1; next < page + count; next += 1) this.#claim(next);
    if (kind !== "free") return;
    const list = Buffer.alloc(bytes);
    this.#read(list, page * PAGE_BYTES + HEAD_BYTES);
    this.#freePages(page, list);
  }

  /** A list of page numbers: a negative one is the length of the run that the next one begins, none are where zeros are. */
  #freePages(page: number, list: Buffer): void {
    const count = list.length < 8 ? -1 : uint64(list, 0);
    if (list.length < 8 * (count + 1)) this.#fail(`page ${page} with a list of ${count} free pages`);
    let length = 1;
    for (let place = 1; place <= count; place += 1) {
      const number = Number(list.readBigInt64LE(8 * place));
      if (number === 0) continue;
      const isLength = number < 0 && length === 1 && -number <= this.#lastPage;
      if (!isLength && (number < 2 || number + length - 1 > this.#lastPage)) {
        this.#fail(`page ${page} with free page ${number}`);
      }
      if (!isLength) for (let free = number; free < number + length; free += 1) this.#mark(free);
      length = isLength ? -number : 1;
    }
    if (length !== 1) this.#fail(`page ${page} with free pages without a number`);
  }

  #number(page: number): number {
    if (page < 2 || page > this.#lastPage) this.#fail(`a reference to page ${page}`);
    return page;
  }

  /** @returns a page that nobody has named before; good until the next one is taken. */
  #take(page: number): Buffer {
    this.#claim(page);
    const at = page * PAGE_BYTES;
    if (this.#windowAt < 0 || at < this.#windowAt || at >= this.#windowAt + WINDOW_BYTES) {
      this.#windowAt = at - (at % WINDOW_BYTES);
      const bytes = Math.min(WINDOW_BYTES, this.#fileBytes - this.#windowAt);
      this.#read(this.#window.subarray(0, bytes), this.#windowAt);
    }
    const bytes = this.#window.subarray(at - this.#windowAt, at - this.#windowAt + PAGE_BYTES);
    if (uint64(bytes, 0) !== page) this.#fail(`page ${page} under another number`);
    if (uint64(bytes, 8) > this.#transaction) this.#fail(`page ${page} of a later commit`);
    return bytes;
  }

  #read(target: Buffer, position: number): void {
    for (let done = 0; done < target.length;) {
      const got = readSync(this.#descriptor, target, done, target.length - done, position + done);
      if (got === 0) this.#fail(`${position + done} bytes only`);
      done += got;
    }
  }

  #claim(page: number): void {
    if (page > this.#lastPage || (page + 1) * PAGE_BYTES > this.#fileBytes) {
      this.#fail(`page ${page} past its end`);
    }
    this.#mark(page);
  }

  /** Notes that a page is used, or free, which it can be once. The file may end before one that is free. */
  #mark(page: number): void {
    if (page >= this.#seen.length) this.#past += 1;
    else if (this.#seen[page] === 1) this.#fail(`page ${page} in two places`);
    else this.#seen[page] = 1;
  }

  #fail(found: string): never {
    throw new CacheError(
      "E_INDEX_CORRUPT",
      `Cannot open ${shownPath(this.#path)}: its pages are damaged: it has ${found}`,
    );
  }
}
