/** All pins in memory, so that whoever stores a block learns in O(1) whether one covers its file. */
import type { PinRecord } from "../../index/ledger-pins.js";

/** What has to be known of a file to tell whether a pin covers it; the answer is kept in it until the set changes. */
export interface PinOwner {
  readonly inode: Buffer;
  readonly volume: { readonly fs: Buffer; readonly volume: Buffer };
  pinsVersion: number;
  pinned: boolean;
}

/** The pins of one volume. */
class VolumePins {
  readonly #byName = new Map<string, PinRecord>();
  /** Prefixes of inodes by their length: there are few lengths, however many prefixes. */
  readonly #prefixes = new Map<number, Set<string>>();

  get count(): number {
    return this.#byName.size;
  }

  get(scope: PinRecord["scope"], name: Buffer): PinRecord | undefined {
    return this.#byName.get(nameOf(scope, name));
  }

  set(pin: PinRecord): void {
    const { scope, name } = pin;
    this.#byName.set(nameOf(scope, name), pin);
    if (scope !== "tree") return;
    const prefixes = this.#prefixes.get(name.length) ?? new Set();
    this.#prefixes.set(name.length, prefixes.add(name.toString("latin1")));
  }

  delete({ scope, name }: PinRecord): void {
    this.#byName.delete(nameOf(scope, name));
    const prefixes = scope === "tree" ? this.#prefixes.get(name.length) : undefined;
    prefixes?.delete(name.toString("latin1"));
    if (prefixes?.size === 0) this.#prefixes.delete(name.length);
  }

  /** Every file, whatever its name. */
  get coversAll(): boolean {
    return this.#byName.has(WHOLE) || this.#prefixes.has(0);
  }

  covers(inode: Buffer): boolean {
    if (this.coversAll || this.#byName.has(nameOf("file", inode))) return true;
    if (this.#prefixes.size === 0) return false;
    const text = inode.toString("latin1");
    for (const [bytes, prefixes] of this.#prefixes) {
      if (bytes <= text.length && prefixes.has(text.slice(0, bytes))) return true;
    }
    return false;
  }
}

const WHOLE = nameOf("volume", Buffer.alloc(0));

export class PinSet {
  readonly #volumes = new Map<string, VolumePins>();
  readonly #byId = new Map<number, PinRecord>();
  #nameBytes = 0;
  #nextId = 1;
  /** Raised by every change: what was kept of an earlier answer counts no more. */
  #version = 0;

  constructor(pins: Iterable<PinRecord> = []) {
    for (const pin of pins) this.add(pin);
  }

  get count(): number {
    return this.#byId.size;
  }

  /** Bytes of all names together. */
  get nameBytes(): number {
    return this.#nameBytes;
  }

  get nextId(): number {
    return this.#nextId;
  }

  /** In the order in which they were made. */
  all(): PinRecord[] {
    return [...this.#byId.values()].toSorted((a, b) => a.id - b.id);
  }

  find(pin: Pick<PinRecord, "fs" | "volume" | "scope" | "name">): PinRecord | undefined {
    return this.#volumes.get(keyOf(pin.fs, pin.volume))?.get(pin.scope, pin.name);
  }

  /** Adds a pin, or puts it in place of the one with its id and name. */
  add(pin: PinRecord): void {
    const key = keyOf(pin.fs, pin.volume);
    const pins = this.#volumes.get(key) ?? new VolumePins();
    this.#volumes.set(key, pins);
    if (!this.#byId.has(pin.id)) this.#nameBytes += nameBytesOf(pin);
    this.#byId.set(pin.id, pin);
    pins.set(pin);
    this.#nextId = Math.max(this.#nextId, pin.id + 1);
    this.#version += 1;
  }

  remove(pin: PinRecord): void {
    const key = keyOf(pin.fs, pin.volume);
    const pins = this.#volumes.get(key);
    if (pins === undefined || !this.#byId.delete(pin.id)) return;
    pins.delete(pin);
    if (pins.count === 0) this.#volumes.delete(key);
    this.#nameBytes -= nameBytesOf(pin);
    this.#version += 1;
  }

  /** Whether a pin covers this file. */
  covers(owner: PinOwner): boolean {
    if (this.#byId.size === 0) return false;
    if (owner.pinsVersion !== this.#version) {
      owner.pinned = this.coversNames(owner.volume, owner.inode);
      owner.pinsVersion = this.#version;
    }
    return owner.pinned;
  }

  coversNames({ fs, volume }: PinOwner["volume"], inode: Buffer): boolean {
    if (this.#byId.size === 0) return false;
    return this.#volumes.get(keyOf(fs, volume))?.covers(inode) ?? false;
  }

  /** Whether pins cover every file of this volume. */
  coversAll({ fs, volume }: PinOwner["volume"]): boolean {
    return this.#volumes.get(keyOf(fs, volume))?.coversAll ?? false;
  }
}

/** What the names of a pin count against the limit of all names. */
export function nameBytesOf(pin: Pick<PinRecord, "fs" | "volume" | "name">): number {
  return pin.fs.length + pin.volume.length + pin.name.length;
}

function nameOf(scope: PinRecord["scope"], name: Buffer): string {
  return `${scope} ${name.toString("latin1")}`;
}

/** A file system's name ends where no name goes on: U+0100 is in no latin1 text. */
function keyOf(fs: Buffer, volume: Buffer): string {
  return `${fs.toString("latin1")}\u0100${volume.toString("latin1")}`;
}
