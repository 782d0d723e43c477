/** A trace as policies see it: which block was touched, in order. Read from text or from a recording, plain or gzip. */
import fs from "node:fs";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { CacheError, errnoOf, isCacheError, messageOf } from "../../index/core/errors.js";
import { grown } from "../slots/slot-table.js";
import { TraceReader, isTrace } from "../trace/reader.js";
import { CsvReader } from "./csv-trace.js";

export interface BlockTrace {
  /** The file's name without its endings. */
  readonly name: string;
  /** For each touch the number of its block; blocks are numbered from 0 as they come. */
  readonly touches: Uint32Array;
  readonly uniqueBlocks: number;
  /** Touches of the block just touched: every policy hits them. */
  readonly repeatTouches: number;
}

const TOUCHES_MAX = 2 ** 30;
const TOUCHES_AT_FIRST = 65_536;
const ENDINGS = /(?:\.(?:csv|gz|trace))+$/;

/** Numbers blocks as they come, and counts. */
export class TouchList {
  #touches = new Uint32Array(TOUCHES_AT_FIRST);
  #count = 0;
  #repeats = 0;
  readonly #files = new Map<unknown, Map<number, number>>();
  #blocks = 0;

  /** @param file anything that is the same for the same file only. */
  touch(file: unknown, block: number): void {
    let numbers = this.#files.get(file);
    if (numbers === undefined) this.#files.set(file, (numbers = new Map()));
    let number = numbers.get(block);
    if (number === undefined) numbers.set(block, (number = this.#blocks++));
    if (this.#count === this.#touches.length) this.#grow();
    if (this.#count > 0 && this.#touches[this.#count - 1] === number) this.#repeats += 1;
    this.#touches[this.#count++] = number;
  }

  take(name: string): BlockTrace {
    const touches = this.#touches.slice(0, this.#count);
    return { name, touches, uniqueBlocks: this.#blocks, repeatTouches: this.#repeats };
  }

  #grow(): void {
    if (this.#count >= TOUCHES_MAX) throw new CacheError("E_TRACE", `more than ${TOUCHES_MAX} touches`);
    this.#touches = grown(this.#touches, new Uint32Array(this.#count * 2));
  }
}

/** @throws {CacheError} E_TRACE for what is no trace, with the line; E_FORMAT_VERSION; a file system's error as it is. */
export async function loadTrace(file: string): Promise<BlockTrace> {
  const list = new TouchList();
  try {
    await read(file, list);
  } catch (error) {
    if (isCacheError(error)) throw new CacheError(error.code, `Cannot read trace ${file}: ${error.message}`);
    const code = errnoOf(error) ?? "";
    if (!code.startsWith("Z_")) throw error;
    throw new CacheError(
      "E_TRACE",
      `Cannot read trace ${file}: its gzip data is damaged: ${messageOf(error)}`,
    );
  }
  const trace = list.take(path.basename(file).replace(ENDINGS, ""));
  if (trace.touches.length > 0) return trace;
  throw new CacheError("E_TRACE", `Cannot read trace ${file}: it has no accesses`);
}

async function read(file: string, list: TouchList): Promise<void> {
  const take = (chunks: AsyncIterable<Buffer>): Promise<void> => readBytes(chunks, list);
  const gzip = isGzip(file);
  const source = fs.createReadStream(file);
  if (gzip) await pipeline(source, createGunzip(), take);
  else await pipeline(source, take);
}

function isGzip(file: string): boolean {
  const fd = fs.openSync(file, "r");
  try {
    const head = Buffer.alloc(2);
    fs.readSync(fd, head, 0, 2, 0);
    return head[0] === 0x1f && head[1] === 0x8b;
  } finally {
    fs.closeSync(fd);
  }
}

/** The first bytes say whether it is a recording or text. */
async function readBytes(chunks: AsyncIterable<Buffer>, list: TouchList): Promise<void> {
  const iterator = chunks[Symbol.asyncIterator]();
  const first = await iterator.next();
  if (first.done === true) return;
  const all = async function* (): AsyncGenerator<Buffer> {
    yield first.value;
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) yield next.value;
  };
  if (isTrace(first.value)) {
    for await (const accesses of new TraceReader(all())) {
      for (const { file, block } of accesses) list.touch(file.number, block);
    }
  } else {
    const reader = new CsvReader(({ file, firstBlock, lastBlock }) => {
      for (let block = firstBlock; block <= lastBlock; block += 1) list.touch(file, block);
    });
    for await (const chunk of all()) reader.push(chunk);
    reader.end();
  }
}
