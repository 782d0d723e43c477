/**
 * Walks the pages of a closed LMDB environment as a file, before anything maps it: LMDB does not check what it follows, and a
 * flipped bit in a page's head or in a node ends the process. Meant for small environments: it reads every page.
 * Layout: mdb.c of lmdb-js 3 (data version 2): a page has a head of 24 bytes, offsets in it count from the end of that.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { CacheError } from "./core/errors.js";

const PAGE_BYTES = 4096;
const HEAD_BYTES = 24;
const NODE_BYTES = 8;
const TREE_BYTES = 48;
const NO_PAGE = 2n ** 64n - 1n;
const BRANCH = 1;
const LEAF = 2;
const OVERFLOW = 4;
const BIG_DATA = 1;
const SUB_DATA = 2;
const DEPTH_MAX = 32;
const PAGES_MAX = 2n ** 40n;
const META_TREES_AT = HEAD_BYTES + 24;
const META_LAST_AT = HEAD_BYTES + 120;
const META_TRANSACTION_AT = HEAD_BYTES + 128;

interface Tree {
  readonly depth: number;
  readonly entries: bigint;
  readonly root: bigint;
}

/**
 * Checks the newest commit of an environment whose every commit is flushed.
 * @throws {CacheError} E_INDEX_CORRUPT with the first thing that is wrong.
 */
export function checkPages(path: string): void {
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const file = Buffer.alloc(fstatSync(descriptor).size);
    for (let done = 0; done < file.length;) {
      const got = readSync(descriptor, file, done, file.length - done, done);
      if (got === 0) throw corrupt(path, "it ends early");
      done += got;
    }
    new Walk(path, file).run();
  } finally {
    closeSync(descriptor);
  }
}

class Walk {
  readonly #path: string;
  readonly #file: Buffer;
  readonly #seen: Uint8Array;
  #lastPage = 0;
  /** Of the newest commit: a page that claims a later one would be taken for one that may be written to. */
  #transaction = 0n;

  constructor(path: string, file: Buffer) {
    this.#path = path;
    this.#file = file;
    this.#seen = new Uint8Array(Math.ceil(file.length / PAGE_BYTES));
  }

  run(): void {
    const transactions = [0, 1].map((page) =>
      this.#file.readBigUInt64LE(page * PAGE_BYTES + META_TRANSACTION_AT),
    ) as [bigint, bigint];
    // Commits take the two pages in turn, so a number that is wrong shows.
    const [even, odd] = transactions;
    const isNew = even === 0n && odd === 0n;
    const inTurn = even % 2n === 0n && odd % 2n === 1n && (even - odd === 1n || odd - even === 1n);
    if (!isNew && !inTurn) this.#fail(`commits ${even} and ${odd} where one follows the other`);
    const meta = (odd > even ? 1 : 0) * PAGE_BYTES;
    if (this.#file.readUInt32LE(meta + META_TREES_AT) !== PAGE_BYTES) this.#fail("another page size");
    this.#transaction = odd > even ? odd : even;
    const last = this.#file.readBigUInt64LE(meta + META_LAST_AT);
    // The file may end before it: what lies there is free.
    if (last >= PAGES_MAX) this.#fail(`page ${last} as its last one`);
    this.#lastPage = Number(last);
    const free = this.#treeAt(meta + META_TREES_AT);
    const main = this.#treeAt(meta + META_TREES_AT + TREE_BYTES);
    this.#tree(free, "free");
    this.#tree(main, "main");
  }

  #treeAt(at: number): Tree {
    return {
      depth: this.#file.readUInt16LE(at + 6),
      entries: this.#file.readBigUInt64LE(at + 32),
      root: this.#file.readBigUInt64LE(at + 40),
    };
  }

  #tree({ depth, entries, root }: Tree, kind: "free" | "main" | "table"): void {
    if (root === NO_PAGE) {
      if (depth !== 0 || entries !== 0n) this.#fail("an empty tree with entries");
      return;
    }
    if (depth < 1 || depth > DEPTH_MAX) this.#fail(`a tree of depth ${depth}`);
    const found = this.#page(this.#number(root), depth, kind);
    if (BigInt(found) !== entries) this.#fail(`a tree of ${found} entries, want ${entries}`);
  }

  /** @returns how many entries lie below. */
  #page(page: number, levels: number, kind: "free" | "main" | "table"): number {
    const at = this.#take(page);
    const flags = this.#file.readUInt16LE(at + 18);
    if (flags !== (levels > 1 ? BRANCH : LEAF)) this.#fail(`page ${page} with flags ${flags}`);
    const lower = this.#file.readUInt16LE(at + 20);
    const upper = this.#file.readUInt16LE(at + 22);
    if (lower % 2 !== 0 || lower > upper || upper > PAGE_BYTES - HEAD_BYTES) {
      this.#fail(`page ${page} with bounds ${lower} and ${upper}`);
    }
    const nodes = lower / 2;
    if (nodes === 0) this.#fail(`page ${page} without a node`);
    let entries = 0;
    let last: Buffer | undefined;
    for (let place = 0; place < nodes; place += 1) {
      const offset = this.#file.readUInt16LE(at + HEAD_BYTES + 2 * place);
      if (offset < upper || offset + NODE_BYTES > PAGE_BYTES - HEAD_BYTES) {
        this.#fail(`page ${page} with a node at ${offset}`);
      }
      const node = at + HEAD_BYTES + offset;
      const keyBytes = this.#file.readUInt16LE(node + 6);
      if (node + NODE_BYTES + keyBytes > at + PAGE_BYTES) this.#fail(`page ${page} with a key too long`);
      const key = this.#file.subarray(node + NODE_BYTES, node + NODE_BYTES + keyBytes);
      // The first key of a branch is empty; those of free pages are numbers.
      const ordered = kind === "free" || last === undefined || Buffer.compare(last, key) < 0;
      if (!ordered) this.#fail(`page ${page} with keys out of order`);
      if (levels === 1 || place > 0) last = key;
      if (levels === 1) this.#leaf(page, node, keyBytes, kind);
      else if (place > 0 && keyBytes === 0) this.#fail(`page ${page} without a key`);
      entries += levels === 1 ? 1 : this.#page(this.#child(node), levels - 1, kind);
    }
    return entries;
  }

  #child(node: number): number {
    const low = this.#file.readUInt32LE(node);
    return this.#number(BigInt(low) + (BigInt(this.#file.readUInt16LE(node + 4)) << 32n));
  }

  #leaf(page: number, node: number, keyBytes: number, kind: "free" | "main" | "table"): void {
    const bytes = this.#file.readUInt32LE(node);
    const flags = this.#file.readUInt16LE(node + 4);
    const data = node + NODE_BYTES + keyBytes;
    const inPage = (flags & BIG_DATA) === 0 ? bytes : 8;
    if (data + inPage > (page + 1) * PAGE_BYTES) this.#fail(`page ${page} with a value too long`);
    const wanted = kind === "main" ? SUB_DATA : flags & BIG_DATA;
    if (flags !== wanted) this.#fail(`page ${page} with a node of flags ${flags}`);
    if (kind === "main") {
      if (bytes !== TREE_BYTES) this.#fail(`page ${page} with a table of ${bytes} bytes`);
      this.#tree(this.#treeAt(data), "table");
    } else if (flags === BIG_DATA) this.#overflow(this.#number(this.#file.readBigUInt64LE(data)), bytes);
    else if (kind === "free") this.#freePages(page, this.#file.subarray(data, data + bytes));
  }

  #overflow(page: number, bytes: number): void {
    const at = this.#take(page);
    const count = this.#file.readUInt32LE(at + 20);
    const fits = count === Math.floor((HEAD_BYTES - 1 + bytes) / PAGE_BYTES) + 1;
    if (this.#file.readUInt16LE(at + 18) !== OVERFLOW || !fits) this.#fail(`page ${page}, which is no value`);
    for (let next = page + 1; next < page + count; next += 1) this.#claim(next);
  }

  /** A list of page numbers; a negative one is the length of a run. */
  #freePages(page: number, list: Buffer): void {
    const count = list.length < 8 ? -1 : Number(list.readBigUInt64LE());
    if (list.length < 8 * (count + 1)) this.#fail(`page ${page} with a list of ${count} free pages`);
    for (let place = 1; place <= count; place += 1) {
      const number = list.readBigInt64LE(8 * place);
      const size = number < 0n ? -number : number;
      if (size > BigInt(this.#lastPage)) this.#fail(`page ${page} with free page ${number}`);
    }
  }

  #number(page: bigint): number {
    if (page < 2n || page > BigInt(this.#lastPage)) this.#fail(`a reference to page ${page}`);
    return Number(page);
  }

  /** Where a page begins that nobody has named before. */
  #take(page: number): number {
    this.#claim(page);
    const at = page * PAGE_BYTES;
    if (this.#file.readBigUInt64LE(at) !== BigInt(page)) this.#fail(`page ${page} under another number`);
    if (this.#file.readBigUInt64LE(at + 8) > this.#transaction) this.#fail(`page ${page} of a later commit`);
    return at;
  }

  #claim(page: number): void {
    if (page > this.#lastPage || (page + 1) * PAGE_BYTES > this.#file.length) {
      this.#fail(`page ${page} past its end`);
    }
    if (this.#seen[page] === 1) this.#fail(`page ${page} in two places`);
    this.#seen[page] = 1;
  }

  #fail(found: string): never {
    throw corrupt(this.#path, found);
  }
}

function corrupt(path: string, found: string): CacheError {
  return new CacheError("E_INDEX_CORRUPT", `Cannot open ${path}: its pages are damaged: it has ${found}`);
}
