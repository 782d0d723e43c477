/**
 * What may and what must be found after an end of any kind, told from the marks that had been made by then. Nothing here knows how the
 * cache works, only what it promised.
 */
import { BLOCKS, FILES, type Mark, type Operation, type Place, WORKERS } from "./marks.js";

/** What a block may hold: the first `lengthBytes` bytes of a version that was `ofBytes` long. */
export interface Content {
  readonly version: number;
  readonly ofBytes: number;
  readonly lengthBytes: number;
}

export interface ExpectedBlock extends Place {
  /** A hit has one of these. */
  readonly may: readonly Content[];
  /** In a cache that is found clean it is a hit. */
  readonly must: boolean;
}

export interface Expectation {
  readonly blocks: readonly ExpectedBlock[];
  /** Pins that are there, and those that may be. */
  readonly pins: readonly string[];
  readonly pinsMay: readonly string[];
  /** How the next start may find the cache. */
  readonly newMay: boolean;
  readonly cleanMay: boolean;
  readonly cleanMust: boolean;
  /** An epoch that has been told of is never told of again after a wipe. */
  readonly epochBelow: number;
}

type Stage = "nothing" | "opening" | "open" | "closing" | "closed";

export class Model {
  readonly #blocks = new Map<string, ExpectedBlock>();
  readonly #underWay = new Map<number, Operation>();
  readonly #pins = new Set<string>();
  #pinning: string | undefined;
  #unpinning: string | undefined;
  #stage: Stage = "nothing";
  /** The one before `opening`. */
  #left: Stage = "nothing";
  #epoch = 0;
  #crowded = false;
  /** What a start told that it must not have. */
  readonly problems: string[] = [];

  constructor() {
    for (let worker = 0; worker < WORKERS; worker += 1) {
      for (let file = 0; file < FILES; file += 1) {
        for (let block = 0; block < BLOCKS; block += 1) {
          this.#set({ worker, file, block, may: [], must: false });
        }
      }
    }
  }

  apply(mark: Mark): void {
    switch (mark.kind) {
      case "opening":
        // Of openings that came to no end only what was before the first counts.
        if (this.#stage !== "opening") this.#left = this.#stage;
        this.#stage = "opening";
        return;
      case "opened":
        this.#opened(mark);
        return;
      case "crowding":
        this.#crowded = true;
        return;
      case "wiping":
        for (const block of this.#blocks.values()) this.#set({ ...block, must: false });
        return;
      case "wiped":
        for (const block of this.#blocks.values()) this.#set({ ...block, may: [], must: false });
        this.#epoch = mark.epoch;
        this.#crowded = false;
        return;
      case "closing":
        this.#stage = "closing";
        return;
      case "closed":
        this.#stage = "closed";
        return;
      case "begin":
        this.#underWay.set(mark.worker, mark.operation);
        return;
      case "done":
        this.#done(mark.worker, mark.worked);
        return;
      case "pinning":
        this.#pinning = mark.name;
        return;
      case "pinned":
        this.#pinning = undefined;
        this.#pins.add(mark.name);
        return;
      case "unpinning":
        this.#unpinning = mark.name;
        return;
      case "unpinned":
        this.#unpinning = undefined;
        this.#pins.delete(mark.name);
    }
  }

  expectation(): Expectation {
    const stage = this.#stage === "opening" ? this.#left : this.#stage;
    const known = this.#epoch > 0;
    return {
      blocks: [...this.#blocks.values()].map((block) => {
        const { must, ...rest } = this.#withUnderWay(block);
        return { ...rest, must: must && !this.#crowded };
      }),
      pins: [...this.#pins].filter((name) => name !== this.#unpinning),
      pinsMay: [...this.#pins, ...(this.#pinning === undefined ? [] : [this.#pinning])],
      newMay: !known,
      cleanMay: stage === "closed" || stage === "closing",
      cleanMust: stage === "closed" && this.#stage !== "opening",
      epochBelow: this.#epoch,
    };
  }

  /** A start within the recording, after a cut or a stop: it has to be as any other. */
  #opened({ start, action, epoch, pins }: Extract<Mark, { kind: "opened" }>): void {
    const expected = this.expectation();
    this.problems.push(...startProblems(expected, { start, action, epoch, pins }));
    for (const block of expected.blocks) {
      if (action === "wipe" || start === "new") this.#set({ ...block, may: [], must: false });
      else this.#set({ ...block, must: block.must && start === "clean" });
    }
    this.#underWay.clear();
    this.#pinning = undefined;
    this.#unpinning = undefined;
    this.#pins.clear();
    for (const name of pins) this.#pins.add(name);
    this.#epoch = epoch;
    this.#stage = "open";
  }

  #done(worker: number, worked: boolean): void {
    const operation = this.#underWay.get(worker);
    if (operation === undefined) return;
    this.#underWay.delete(worker);
    for (const block of this.#touched(worker, operation)) {
      if (worked) this.#set(after(block, operation));
      // What a stop ended in the middle may have taken some away already.
      else if (operation.what === "drop")
        this.#set({ ...block, may: [...block.may, ...after(block, operation).may], must: false });
      else this.#set({ ...block, must: false });
    }
  }

  #touched(worker: number, operation: Operation): ExpectedBlock[] {
    return [...this.#blocks.values()].filter(
      (block) => block.worker === worker && touches(operation, block.file, block.block),
    );
  }

  /** With what a call under way may have done to it, or not. */
  #withUnderWay(block: ExpectedBlock): ExpectedBlock {
    const operation = this.#underWay.get(block.worker);
    if (operation === undefined || !touches(operation, block.file, block.block)) return block;
    return { ...block, may: [...block.may, ...after(block, operation).may], must: false };
  }

  #set(block: ExpectedBlock): void {
    this.#blocks.set(`${block.worker}/${block.file}/${block.block}`, block);
  }
}

/** What is wrong with how a cache was found, in a sentence each. */
export function startProblems(
  expected: Expectation,
  found: { start: string; action: string; epoch: number; pins: readonly string[] },
): string[] {
  const { start, action, epoch, pins } = found;
  const problems: string[] = [];
  if (start === "new" && !expected.newMay) problems.push("start: a cache that was there is found new");
  if (start === "clean" && !expected.cleanMay) problems.push("start: found clean, and nobody had stopped it");
  if (start !== "clean" && expected.cleanMust) problems.push(`start: found ${start} after a clean stop`);
  if (action === "wipe" && epoch <= expected.epochBelow)
    problems.push(`ledger: epoch ${epoch} comes again after a wipe, ${expected.epochBelow} was told of`);
  const lost = expected.pins.filter((name) => !pins.includes(name));
  const foreign = pins.filter((name) => !expected.pinsMay.includes(name));
  if (lost.length > 0) problems.push(`ledger: ${lost.length} pins are lost: ${lost.join(", ")}`);
  if (foreign.length > 0) problems.push(`ledger: pins that were taken away are back: ${foreign.join(", ")}`);
  return problems;
}

function touches(operation: Operation, file: number, block: number): boolean {
  if (operation.what === "put") return operation.file === file && operation.block === block;
  if ((operation.file ?? file) !== file) return false;
  // The file may turn out to be unknown by then, which drops all of it.
  return operation.how === "resize" || (block >= operation.from && block < operation.end);
}

function after(block: ExpectedBlock, operation: Operation): ExpectedBlock {
  if (operation.what === "put") {
    const { version, lengthBytes } = operation;
    return { ...block, may: [{ version, ofBytes: lengthBytes, lengthBytes }], must: true };
  }
  if (block.block < operation.from) return { ...block, must: false };
  const keptBytes = block.block === operation.from ? operation.keptBytes : 0;
  const may = block.may.map((content) => ({
    ...content,
    lengthBytes: Math.min(content.lengthBytes, keptBytes),
  }));
  return { ...block, may: may.filter((content) => content.lengthBytes > 0), must: false };
}
