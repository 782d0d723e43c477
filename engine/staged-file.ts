/**
 * Files that are stored whole or not at all. Their blocks belong to an object id that has no record, so nobody finds
 * them; publishing writes the record. What is given up leaves the index and its slots at once.
 */
import { CacheError } from "../index/core/errors.js";
import { ATTRIBUTES_BYTES_MAX, pagesOf } from "../index/core/layout.js";
import { checkBlock, nameBuffer } from "../index/core/names.js";
import type { Bypass, BypassReason, PutResult } from "./api.js";
import type { Life } from "./block-parts.js";
import { type OpenFileParts, isWhole } from "./file-look.js";
import { checkBlockBytes, sizeOf } from "./handle-arguments.js";
import { type ObjectState, recordBytes } from "./object-states.js";
import type { FileName, HeldFile, HoldOptions, StagedFile } from "./open-api.js";

const EMPTY = Buffer.alloc(0);

type Published = { readonly kind: "held"; readonly file: HeldFile } | Bypass;

/** All that are being stored in this process. */
export class StagedFiles {
  readonly #parts: OpenFileParts;
  readonly #held: (object: ObjectState) => HeldFile;
  readonly #files = new Set<Staged>();
  /** Slots and pages that puts under way are about to take. */
  readonly coming = { slots: 0, pages: 0 };

  /** @param held makes a hold that is counted already one that can be released. */
  constructor(parts: OpenFileParts, held: (object: ObjectState) => HeldFile) {
    this.#parts = parts;
    this.#held = held;
  }

  /** Data put into all of them. */
  get bytes(): number {
    let bytes = 0;
    for (const file of this.#files) bytes += file.bytes;
    return bytes;
  }

  /** As OpenFileCalls.stage. @param admit why work is refused, if it is. */
  stage(file: FileName, { rank }: HoldOptions, admit: () => BypassReason | undefined): StagedFile {
    const { blocks } = this.#parts;
    const { objects } = blocks.life;
    const object = objects.stage(objects.volumes.obtain(file.fs, file.volume), file.inode);
    object.holds = 1;
    object.rank = rank ?? "normal";
    const parts = { ...this.#parts, admit, coming: this.coming, held: this.#held };
    const staged = new Staged(parts, object, (ended) => this.#files.delete(ended));
    this.#files.add(staged);
    return staged;
  }

  /** Drops what was put into any of them: the cache is about to close. */
  abandonAll(): void {
    for (const file of this.#files) file.drop();
  }
}

interface StagedParts extends OpenFileParts {
  readonly admit: () => BypassReason | undefined;
  readonly coming: { slots: number; pages: number };
  readonly held: (object: ObjectState) => HeldFile;
}

class Staged implements StagedFile {
  readonly #parts: StagedParts;
  readonly #object: ObjectState;
  readonly #life: Life;
  readonly #onEnd: (file: Staged) => void;
  /** What an invalidation of its volume or file system would raise. */
  readonly #stampMax: number;
  /** Bytes by block. */
  readonly #put = new Map<number, number>();
  readonly #putting = new Set<Promise<unknown>>();
  #bytes = 0;
  #ending: Promise<void> | undefined;
  #published = false;

  constructor(parts: StagedParts, object: ObjectState, onEnd: (file: Staged) => void) {
    this.#parts = parts;
    this.#object = object;
    this.#life = parts.blocks.life;
    this.#onEnd = onEnd;
    this.#stampMax = object.stampMax;
  }

  get bytes(): number {
    return this.#current ? this.#bytes : 0;
  }

  async put(block: number, bytes: Uint8Array): Promise<PutResult> {
    const refused = this.#admit();
    checkBlock(block);
    checkBlockBytes(bytes);
    const { blocks, counters, coming } = this.#parts;
    if (refused !== undefined) return counters.bypass(refused);
    const pages = pagesOf(bytes.length);
    if (!this.#life.ranking.kept.mayHold(coming.slots + 1, coming.pages + pages))
      return counters.bypass("no-space");
    coming.slots += 1;
    coming.pages += pages;
    const putting = blocks.store(this.#object, block, nameBuffer(bytes));
    this.#putting.add(putting);
    try {
      const result = await putting;
      if (result.kind === "stored") this.#note(block, bytes.length);
      return result;
    } finally {
      this.#putting.delete(putting);
      coming.slots -= 1;
      coming.pages -= pages;
    }
  }

  async publish(content: {
    readonly sizeBytes: bigint;
    readonly attributes?: Uint8Array;
  }): Promise<Published> {
    const refused = this.#admit();
    const sizeBytes = sizeOf(content.sizeBytes) as bigint;
    const attributes = Buffer.from(content.attributes ?? EMPTY);
    if (attributes.length > ATTRIBUTES_BYTES_MAX) {
      const found = `${attributes.length} bytes of attributes`;
      throw new CacheError(
        "E_ARGUMENT",
        `Cannot publish a file with ${found}: want at most ${ATTRIBUTES_BYTES_MAX}`,
      );
    }
    const reason = refused ?? this.#check(sizeBytes, attributes.length);
    if (reason !== undefined) {
      await this.abandon();
      return this.#parts.counters.bypass(reason);
    }
    const replaced = this.#name(sizeBytes, content.attributes === undefined ? undefined : attributes);
    this.#published = true;
    this.#onEnd(this);
    const file = this.#parts.held(this.#object);
    if (replaced || this.#life.index.wouldReturn(this.#object.id)) await this.#life.index.settled();
    return { kind: "held", file };
  }

  async abandon(): Promise<void> {
    this.drop();
    await this.#ending;
  }

  /** What was put goes now, what is being put as it comes. */
  drop(): void {
    if (this.#published || this.#ending !== undefined) return;
    this.#onEnd(this);
    if (!this.#current) {
      this.#ending = Promise.resolve(); // it went with the wipe
      return;
    }
    this.#object.stamp = this.#parts.takeStamp({ kind: "object", id: this.#object.id });
    this.#dropBlocks();
    this.#ending = this.#end();
  }

  async #end(): Promise<void> {
    await Promise.allSettled(this.#putting); // they find themselves stale
    if (!this.#current) return;
    this.#dropBlocks();
    this.#life.objects.unstage(this.#object);
    await this.#life.index.settled();
  }

  #dropBlocks(): void {
    const { blocks } = this.#parts;
    const { id } = this.#object;
    // What a put has stored may not have been noted here yet.
    for (const { block } of this.#life.index.blocksOf(id)) {
      const entry = blocks.entryOf(id, block);
      if (entry !== undefined) blocks.drop(id, block, entry);
    }
    this.#put.clear();
    this.#bytes = 0;
  }

  /** Why it cannot be published, in words of trouble. @throws {CacheError} E_ARGUMENT. */
  #check(sizeBytes: bigint, attributesBytes: number): BypassReason | undefined {
    const { blocks, indexFull, noteRecord } = this.#parts;
    if (this.#object.stampMax !== this.#stampMax) return "stale";
    if (this.#putting.size > 0 || BigInt(this.#bytes) !== sizeBytes) {
      const found = this.#putting.size > 0 ? "puts under way" : `${this.#bytes} bytes put`;
      throw new CacheError(
        "E_ARGUMENT",
        `Cannot publish a file of ${sizeBytes} bytes with ${found}: want all of it`,
      );
    }
    if (!isWhole(blocks, this.#object, sizeBytes)) return "io-error";
    noteRecord(recordBytes(this.#object) + 2 * attributesBytes);
    if (!indexFull()) return undefined;
    this.#life.room.changed(); // culling makes room there too
    return "index-full";
  }

  /** In one turn, so that nobody finds half of it. @returns whether there was another file of this name. */
  #name(sizeBytes: bigint, attributes: Buffer | undefined): boolean {
    const { objects, index, leases } = this.#life;
    const { takeSequence, takeStamp, housekeeper } = this.#parts;
    const object = this.#object;
    const old = objects.findIn(object.volume, object.inode);
    if (old !== undefined) {
      old.revision += 1; // handles on it are of another version
      old.stamp = takeStamp({ kind: "object", id: old.id });
      leases.invalidated();
      objects.unname(old);
      housekeeper.reclaimObject(old.id, old.stamp);
    }
    object.sizeBytes = sizeBytes;
    objects.publish(object);
    if (attributes !== undefined) {
      const record = { objectId: object.id, sequence: takeSequence(), coherency: EMPTY, value: attributes };
      index.metadata.put({ kind: "attributes", ...record });
    }
    return old !== undefined;
  }

  #note(block: number, bytes: number): void {
    if (this.#ending !== undefined) return;
    this.#bytes += bytes - (this.#put.get(block) ?? 0);
    this.#put.set(block, bytes);
  }

  /** @throws {CacheError} E_CLOSED. */
  #admit(): BypassReason | undefined {
    const refused = this.#parts.admit();
    if (this.#published || this.#ending !== undefined) {
      throw new CacheError("E_CLOSED", "Cannot use the staged file: it was published or given up");
    }
    return refused ?? (this.#current ? undefined : "stale");
  }

  get #current(): boolean {
    return this.#life === this.#parts.blocks.life;
  }
}
