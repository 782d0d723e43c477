/** The file calls of slots over a drive that fails, cuts transfers short or stalls when told to. */
import { type SlotFileFacts, type SlotIo, nodeIo } from "../../engine/slots/io.js";

export type Operation = Exclude<keyof SlotIo, "driveReads">;

/** What becomes of one call. */
export interface Fault {
  readonly errno?: string;
  /** Moves so many bytes at most. */
  readonly bytesMax?: number;
  /** Waits for this first; of calls that don't block alone. */
  readonly gate?: Promise<void>;
}

interface Rule {
  readonly operation: Operation;
  /** How many more calls it is for. */
  times: number;
  readonly errno?: string;
  readonly bytesMax?: number;
  readonly gate?: Promise<void>;
  readonly onReached?: () => void;
}

export interface Hold {
  /** Resolves when a call is held. */
  readonly reached: Promise<void>;
  release(): void;
}

export class FaultyIo implements SlotIo {
  readonly #rules: Rule[] = [];
  readonly #calls = new Map<Operation, number>();
  /** Asked at every call, with how often the operation was called, this time included; the rules come after it. */
  choose: ((operation: Operation, call: number) => Fault | undefined) | undefined;

  /** How often an operation was called. */
  calls(operation: Operation): number {
    return this.#calls.get(operation) ?? 0;
  }

  /** The next calls of an operation fail. */
  fail(operation: Operation, errno: string, times = 1): void {
    this.#rules.push({ operation, errno, times });
  }

  /** The next calls of an operation move so many bytes at most. */
  shorten(operation: Operation, bytesMax: number, times = 1): void {
    this.#rules.push({ operation, bytesMax, times });
  }

  /** The next calls of an operation wait, before they do anything, for the release. */
  hold(operation: Operation, times = 1): Hold {
    let release = () => {};
    let onReached = () => {};
    const gate = new Promise<void>((resolve) => (release = resolve));
    const reached = new Promise<void>((resolve) => (onReached = resolve));
    this.#rules.push({ operation, times, gate, onReached });
    return { reached, release };
  }

  /** The drive is well again. */
  heal(): void {
    this.#rules.length = 0;
    this.choose = undefined;
  }

  openSync(path: string, flags: number): number {
    this.#begin("openSync");
    return nodeIo.openSync(path, flags);
  }

  async open(path: string, flags: number): Promise<number> {
    await this.#begin("open")?.gate;
    return nodeIo.open(path, flags);
  }

  /** The descriptor is closed in any case, as Linux has it. */
  closeSync(fd: number): void {
    nodeIo.closeSync(fd);
    this.#begin("closeSync");
  }

  /** Every read counts as one of the drive. */
  driveReads(): number {
    return this.calls("readSync") + this.calls("read");
  }

  readSync(fd: number, target: Uint8Array, offset: number, lengthBytes: number, position: number): number {
    const bytesMax = this.#begin("readSync")?.bytesMax ?? lengthBytes;
    return nodeIo.readSync(fd, target, offset, Math.min(lengthBytes, bytesMax), position);
  }

  async read(
    fd: number,
    target: Uint8Array,
    offset: number,
    lengthBytes: number,
    position: number,
  ): Promise<number> {
    const rule = this.#begin("read");
    await rule?.gate;
    return nodeIo.read(fd, target, offset, Math.min(lengthBytes, rule?.bytesMax ?? lengthBytes), position);
  }

  async write(
    fd: number,
    source: Uint8Array,
    offset: number,
    lengthBytes: number,
    position: number,
  ): Promise<number> {
    const rule = this.#begin("write");
    await rule?.gate;
    return nodeIo.write(fd, source, offset, Math.min(lengthBytes, rule?.bytesMax ?? lengthBytes), position);
  }

  async fdatasync(fd: number): Promise<void> {
    await this.#begin("fdatasync")?.gate;
    return nodeIo.fdatasync(fd);
  }

  async ftruncate(fd: number, sizeBytes: number): Promise<void> {
    await this.#begin("ftruncate")?.gate;
    return nodeIo.ftruncate(fd, sizeBytes);
  }

  fstatSync(fd: number): SlotFileFacts {
    this.#begin("fstatSync");
    return nodeIo.fstatSync(fd);
  }

  lstatSync(path: string): SlotFileFacts | undefined {
    this.#begin("lstatSync");
    return nodeIo.lstatSync(path);
  }

  async unlink(path: string): Promise<void> {
    await this.#begin("unlink")?.gate;
    return nodeIo.unlink(path);
  }

  #begin(operation: Operation): Fault | undefined {
    const call = this.calls(operation) + 1;
    this.#calls.set(operation, call);
    const chosen = this.choose?.(operation, call);
    if (chosen?.errno !== undefined) throw failure(chosen.errno);
    if (chosen !== undefined) return chosen;
    const rule = this.#rules.find((candidate) => candidate.operation === operation && candidate.times > 0);
    if (rule === undefined) return undefined;
    rule.times -= 1;
    rule.onReached?.();
    if (rule.errno === undefined) return rule;
    throw failure(rule.errno);
  }
}

function failure(errno: string): Error {
  return Object.assign(new Error(`${errno}: the test says so`), { code: errno });
}
