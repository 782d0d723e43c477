/**
 * Which objects clients have open, and how often each session does. What a session has open ends with it, unless it said
 * that its client would reload: then its successor takes it over, or it ends after a while.
 */
import type { OwnedCache } from "../../api.js";
import type { HeldFile } from "../../open-api.js";
import { type ObjectName, type ObjectRecord, rankOf, recordOf } from "./object-names.js";
import { STATUS, type Status, statusOfBypass } from "./statuses.js";

type Cache = Pick<OwnedCache, "look" | "hold">;

/** An object that somebody has open. */
interface OpenObject {
  readonly name: ObjectName;
  record: ObjectRecord;
  file: HeldFile;
  /** Of all sessions together. */
  references: number;
  /** A read found it not whole: it has to be stored anew. */
  broken: boolean;
}

/** References by the key of their object. */
export type References = Map<string, number>;

/** What a client that reloads has left. */
interface Parked {
  readonly client: string;
  readonly references: References;
  readonly timer: NodeJS.Timeout;
  /** How many announcements of a reload go with it. */
  readonly announced: number;
}

export interface OpenObjectsOptions {
  /** How long what a client left open lasts while it reloads. */
  readonly graceMs: number;
  /** More is open than before. */
  readonly onChange: () => void;
  /** A client that was to come back did not. */
  readonly onExpired: () => void;
}

export const REFERENCES_MAX = 2 ** 31 - 1;

export class OpenObjects {
  readonly #cache: Cache;
  readonly #options: OpenObjectsOptions;
  readonly #objects = new Map<string, OpenObject>();
  readonly #parked = new Set<Parked>();
  #bytes = 0;

  constructor(cache: Cache, options: OpenObjectsOptions) {
    this.#cache = cache;
    this.#options = options;
  }

  /** Sizes of all open objects together. */
  get bytes(): number {
    return this.#bytes;
  }

  get parked(): number {
    return this.#parked.size;
  }

  isOpen(key: string): boolean {
    return this.#objects.has(key);
  }

  /** What is known of an object that is there, open or not. */
  find(name: ObjectName): ObjectRecord | undefined {
    const object = this.#objects.get(name.key);
    if (object !== undefined && isIntact(object)) return object.record;
    return recordOf(this.#cache.look(name));
  }

  /** A session opens (more than 0), closes (less) or looks for an object, which then counts as used. */
  change(own: References, name: ObjectName, by: number): Status {
    if (by > 0) return this.#open(own, name, by);
    if (by < 0) return this.#close(own, name, -by);
    const open = this.#objects.get(name.key);
    if (open !== undefined && isIntact(open)) return STATUS.ok;
    const opened = this.#hold(name);
    if (typeof opened === "number") return opened;
    opened.file.release();
    return STATUS.ok;
  }

  /** The session that stored an object has it open. */
  adopt(own: References, name: ObjectName, record: ObjectRecord, file: HeldFile): void {
    const object = this.#objects.get(name.key);
    if (object === undefined) {
      this.#add({ name, record, file, references: 0, broken: false });
    } else {
      object.file.release();
      this.#replace(object, record, file);
    }
    this.#count(own, name.key, 1);
  }

  /** An open object could not be read: some of it is gone. Whoever opens it next finds it missing. */
  noteBroken(name: ObjectName): void {
    const object = this.#objects.get(name.key);
    if (object !== undefined) object.broken = true;
  }

  /** All that a session has open ends. */
  release(own: References): void {
    for (const [key, count] of own) this.#drop(key, count);
    own.clear();
  }

  /** A session whose client reloads has ended. */
  park(own: References, client: string, announced: number): void {
    const references = new Map(own);
    own.clear();
    const timer = setTimeout(() => {
      this.#parked.delete(parked);
      this.release(references);
      this.#options.onExpired();
    }, this.#options.graceMs);
    timer.unref();
    const parked = { client, references, timer, announced };
    this.#parked.add(parked);
  }

  /** A client is back: it takes over what it had left. @returns how many announcements of a reload go with that. */
  takeOver(own: References, client: string): number {
    let announced = 0;
    for (const parked of this.#parked) {
      if (parked.client !== client) continue;
      announced += this.#unpark(own, parked);
    }
    return announced;
  }

  /** Somebody says that a reload is over: the one that waits longest. */
  takeOverOldest(own: References): number {
    const [oldest] = this.#parked;
    return oldest === undefined ? 0 : this.#unpark(own, oldest);
  }

  /** Ends everything: the server closes. */
  close(): void {
    for (const { timer } of this.#parked) clearTimeout(timer);
    this.#parked.clear();
    for (const { file } of this.#objects.values()) file.release();
    this.#objects.clear();
    this.#bytes = 0;
  }

  #unpark(own: References, parked: Parked): number {
    this.#parked.delete(parked);
    clearTimeout(parked.timer);
    for (const [key, count] of parked.references) own.set(key, (own.get(key) ?? 0) + count);
    return parked.announced;
  }

  #open(own: References, name: ObjectName, by: number): Status {
    const object = this.#objects.get(name.key);
    if (object !== undefined && object.references + by > REFERENCES_MAX) return STATUS.badCount;
    if (object === undefined || !isIntact(object)) {
      const opened = this.#hold(name);
      if (typeof opened === "number") return opened;
      if (object === undefined) this.#add({ name, ...opened, references: 0, broken: false });
      else {
        object.file.release();
        this.#replace(object, opened.record, opened.file);
      }
    }
    this.#count(own, name.key, by);
    return STATUS.ok;
  }

  #close(own: References, name: ObjectName, by: number): Status {
    const { key } = name;
    const had = own.get(key) ?? 0;
    const left = [...this.#parked].find(({ references }) => (references.get(key) ?? 0) >= by - had);
    if (had < by && left === undefined) {
      return this.find(name) === undefined && !this.#objects.has(key) ? STATUS.noEntry : STATUS.badCount;
    }
    subtract(own, key, Math.min(had, by));
    if (had < by) subtract(left?.references as References, key, by - had);
    this.#drop(key, by);
    return STATUS.ok;
  }

  #hold(name: ObjectName): { readonly record: ObjectRecord; readonly file: HeldFile } | Status {
    const record = recordOf(this.#cache.look(name));
    if (record === undefined) return STATUS.noEntry;
    const result = this.#cache.hold(name, { rank: rankOf(record.type) });
    if (result.kind === "held") return { record, file: result.file };
    return result.kind === "miss" ? STATUS.noEntry : statusOfBypass(result.reason);
  }

  #add(object: OpenObject): void {
    this.#objects.set(object.name.key, object);
    this.#bytes += object.record.sizeBytes;
  }

  #replace(object: OpenObject, record: ObjectRecord, file: HeldFile): void {
    this.#bytes += record.sizeBytes - object.record.sizeBytes;
    object.record = record;
    object.file = file;
    object.broken = false;
  }

  #count(own: References, key: string, by: number): void {
    const object = this.#objects.get(key) as OpenObject;
    own.set(key, (own.get(key) ?? 0) + by);
    object.references += by;
    this.#options.onChange();
  }

  #drop(key: string, by: number): void {
    const object = this.#objects.get(key);
    if (object === undefined) return;
    object.references -= by;
    if (object.references > 0) return;
    this.#objects.delete(key);
    this.#bytes -= object.record.sizeBytes;
    object.file.release();
  }
}

/** A wipe, an invalidation or a failed read takes content of open objects too. */
function isIntact({ broken, file }: OpenObject): boolean {
  return !broken && file.current;
}

function subtract(references: References, key: string, by: number): void {
  const left = (references.get(key) ?? 0) - by;
  if (left > 0) references.set(key, left);
  else references.delete(key);
}
