/**
 * What all clients of the soak know of every page: which version may be read. A file that all of them map onto small reads and
 * writes, each number with one writer. A client writes `begun` before it stores and `floor` when that took effect; who reads takes
 * the floors before the call and `begun` after it: what is read has to lie between them, in whatever process it was stored.
 */
import fs from "node:fs";
import path from "node:path";
import { PAGE_BYTES, SLOT_BYTES } from "../../index/core/layout.js";

export const FILES = 12;
export const BLOCKS = 12;
export const PAGES = SLOT_BYTES / PAGE_BYTES;
const NUMBER_BYTES = 4;

/**
 * - `begun`: the last version that its client has begun to store;
 * - `settled`: the last whose store has ended, one way or another;
 * - `floor`: no older version may be read, says its client;
 * - `barred`: the same, says whoever invalidates more than a client's own file.
 */
const ROWS = ["begun", "settled", "floor", "barred"] as const;
type Row = (typeof ROWS)[number];

/** Pages of a file, by the number of the first. */
export interface Span {
  readonly client: number;
  readonly file: number;
  readonly page: number;
  readonly pages: number;
}

export function wholeBlock(client: number, file: number, block: number): Span {
  return { client, file, page: block * PAGES, pages: PAGES };
}

export class Board {
  readonly #fds: Readonly<Record<Row, number>>;

  constructor(place: string) {
    const open = (row: Row): number =>
      fs.openSync(path.join(place, `board.${row}`), fs.constants.O_RDWR | fs.constants.O_CREAT, 0o600);
    this.#fds = {
      begun: open("begun"),
      settled: open("settled"),
      floor: open("floor"),
      barred: open("barred"),
    };
  }

  read(row: Row, span: Span): Uint32Array {
    const numbers = new Uint32Array(span.pages);
    fs.readSync(this.#fds[row], numbers, 0, numbers.byteLength, atOf(span)); // zero where nothing was written yet
    return numbers;
  }

  write(row: Row, span: Span, numbers: Uint32Array): void {
    fs.writeSync(this.#fds[row], numbers, 0, numbers.byteLength, atOf(span));
  }

  set(row: Row, span: Span, version: number): void {
    this.write(row, span, new Uint32Array(span.pages).fill(version));
  }

  /** The least version of each page that may be read from now on. */
  least(span: Span): Uint32Array {
    const [own, barred] = [this.read("floor", span), this.read("barred", span)];
    return own.map((version, index) => Math.max(version, barred[index] as number));
  }

  close(): void {
    for (const row of ROWS) fs.closeSync(this.#fds[row]);
  }
}

function atOf({ client, file, page }: Span): number {
  return ((client * FILES + file) * BLOCKS * PAGES + page) * NUMBER_BYTES;
}

/** Everything that a client stores. */
export function* spansOf(client: number): Generator<Span> {
  for (let file = 0; file < FILES; file += 1) yield { client, file, page: 0, pages: BLOCKS * PAGES };
}
