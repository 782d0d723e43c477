/** The file calls of slots over a drive that fails, cuts transfers short or stalls when told to. */
import { type SlotFileFacts, type SlotIo, nodeIo } from "../../engine/slots/io.js";

type Operation = Exclude<keyof SlotIo, "fstatSync" | "lstatSync">;

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
  }

  openSync(path: string, flags: number): number {
    this.#begin("openSync");
    return nodeIo.openSync(path, flags);
  }

  async open(path: string, flags: number): Promise<number> {
    await this.#begin("open")?.gate;
    return nodeIo.open(path, flags);
  }

  closeSync(fd: number): void {
    this.#begin("closeSync");
    nodeIo.closeSync(fd);
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
    return nodeIo.fstatSync(fd);
  }

  lstatSync(path: string): SlotFileFacts | undefined {
    return nodeIo.lstatSync(path);
  }

  async unlink(path: string): Promise<void> {
    await this.#begin("unlink")?.gate;
    return nodeIo.unlink(path);
  }

  #begin(operation: Operation): Rule | undefined {
    this.#calls.set(operation, this.calls(operation) + 1);
    const rule = this.#rules.find((candidate) => candidate.operation === operation && candidate.times > 0);
    if (rule === undefined) return undefined;
    rule.times -= 1;
    rule.onReached?.();
    if (rule.errno === undefined) return rule;
    throw Object.assign(new Error(`${rule.errno}: the test says so`), { code: rule.errno });
  }
}
