/** A set of ids that were given one after another: a bit each, in pages, so that a million take 128 KiB. */

const PAGE_IDS = 4096;

export class IdSet {
  readonly #pages = new Map<number, Uint8Array>();

  /** @returns whether it was not here before. */
  add(id: number): boolean {
    const number = Math.floor(id / PAGE_IDS);
    let page = this.#pages.get(number);
    if (page === undefined) {
      page = new Uint8Array(PAGE_IDS / 8);
      this.#pages.set(number, page);
    }
    const [place, bit] = [(id % PAGE_IDS) >> 3, 1 << (id % 8)];
    const before = page[place] as number;
    page[place] = before | bit;
    return (before & bit) === 0;
  }

  has(id: number): boolean {
    const page = this.#pages.get(Math.floor(id / PAGE_IDS));
    return page !== undefined && ((page[(id % PAGE_IDS) >> 3] as number) & (1 << (id % 8))) !== 0;
  }
}
