/** Pages that say what they are: client, file, number, version, and bytes that follow from these. */
import { PAGE_BYTES } from "../../index/core/layout.js";
import type { Board, Span } from "./board.js";

const WORDS = PAGE_BYTES / 4;

function fill(words: Uint32Array, client: number, file: number, page: number, version: number): void {
  words[0] = client;
  words[1] = file;
  words[2] = page;
  words[3] = version;
  let state = (client * 0x9e3779b1) ^ (file * 0x85ebca6b) ^ (page * 0xc2b2ae35) ^ (version * 0x27d4eb2f) ^ 1;
  for (let at = 4; at < WORDS; at += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    words[at] = state;
  }
}

export function pagesOf({ client, file, page, pages }: Span, version: number): Buffer {
  const words = new Uint32Array(pages * WORDS);
  for (let index = 0; index < pages; index += 1) {
    fill(words.subarray(index * WORDS, (index + 1) * WORDS), client, file, page + index, version);
  }
  return Buffer.from(words.buffer);
}

/** Checks every byte of what was read. @param least as it was before the call. */
export class Checker {
  readonly #board: Board;
  readonly #wanted = new Uint32Array(WORDS);
  bytes = 0;
  /** What was wrong, in words. */
  readonly wrong: string[] = [];

  constructor(board: Board) {
    this.#board = board;
  }

  check(span: Span, bytes: Buffer, least: Uint32Array): void {
    const begun = this.#board.read("begun", span);
    for (let index = 0; index < span.pages; index += 1) {
      const page = bytes.subarray(index * PAGE_BYTES, (index + 1) * PAGE_BYTES);
      const found = this.#faultOf(span, index, page, least[index] as number, begun[index] as number);
      if (found !== undefined)
        this.wrong.push(`client ${span.client} file ${span.file} page ${span.page + index}: ${found}`);
    }
    this.bytes += bytes.length;
  }

  #faultOf(span: Span, index: number, page: Buffer, least: number, begun: number): string | undefined {
    if (page.length !== PAGE_BYTES) return `${page.length} bytes`;
    const version = page.readUInt32LE(12);
    fill(this.#wanted, span.client, span.file, span.page + index, version);
    if (!page.equals(Buffer.from(this.#wanted.buffer))) {
      return `other bytes, they begin with ${page.toString("hex", 0, 16)}`;
    }
    if (version < least) return `version ${version}, which had gone: ${least} is the least`;
    return version > begun ? `version ${version}, which was not stored yet: ${begun} is the last` : undefined;
  }
}
