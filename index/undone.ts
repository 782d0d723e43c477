/**
 * What a cut would bring back: entries and names whose removal is not flushed yet. Whoever stores something else under such a
 * name may be told so only when it is, or a cut would bring the old content back. Kept from the change to the flush behind
 * its commit, so it is small; what is named without need costs one flush.
 */
import { objectKey, volumeKey } from "./keys.js";
import type { ObjectRecord, VolumeRecord } from "./records.js";

class Names {
  /** Blocks by object id. */
  readonly blocks = new Map<number, Set<number>>();
  /** Keys of removed volumes and files, as latin1 text. */
  readonly keys = new Set<string>();
  /** Ids of volumes and files that took a name of those. */
  readonly volumes = new Set<number>();
  readonly objects = new Set<number>();

  get isEmpty(): boolean {
    return this.blocks.size + this.keys.size + this.volumes.size + this.objects.size === 0;
  }

  addBlock(objectId: number, block: number): void {
    const known = this.blocks.get(objectId);
    if (known === undefined) this.blocks.set(objectId, new Set([block]));
    else known.add(block);
  }

  /** Both together; this one alone if the other is empty. */
  with(other: Names): Names {
    if (other.isEmpty) return this;
    if (this.isEmpty) return other;
    for (const [objectId, blocks] of other.blocks) for (const block of blocks) this.addBlock(objectId, block);
    for (const key of other.keys) this.keys.add(key);
    for (const id of other.volumes) this.volumes.add(id);
    for (const id of other.objects) this.objects.add(id);
    return this;
  }
}

export class Undone {
  #queued = new Names();
  #inFlight = new Names();
  #committed = new Names();
  #flushing = new Names();

  removeEntry(objectId: number, block: number): void {
    this.#queued.addBlock(objectId, block);
  }

  removeName(key: Buffer): void {
    this.#queued.keys.add(key.toString("latin1"));
  }

  putVolume({ id, fs, volume }: VolumeRecord): void {
    if (!this.isWaiting) return;
    const key = volumeKey(fs, volume).toString("latin1");
    if (this.#some((names) => names.keys.has(key))) this.#queued.volumes.add(id);
  }

  putObject({ id, volumeId, inode }: ObjectRecord): void {
    if (!this.isWaiting) return;
    const key = objectKey(volumeId, inode).toString("latin1");
    if (this.#some((names) => names.volumes.has(volumeId) || names.keys.has(key)))
      this.#queued.objects.add(id);
  }

  wouldReturn(objectId: number, block: number | undefined): boolean {
    if (!this.isWaiting) return false;
    return this.#some(
      ({ blocks, objects }) =>
        objects.has(objectId) || (block !== undefined && blocks.get(objectId)?.has(block) === true),
    );
  }

  /** Whether anything waits for a flush. */
  get isWaiting(): boolean {
    return this.#some((names) => !names.isEmpty);
  }

  /** All that is queued is in the commit that begins, with what the last one failed to commit. */
  commitBegins(): void {
    this.#inFlight = this.#inFlight.with(this.#queued);
    this.#queued = new Names();
  }

  commitEnds(): void {
    this.#committed = this.#committed.with(this.#inFlight);
    this.#inFlight = new Names();
  }

  /** All that is committed is in the flush that begins. */
  flushBegins(): void {
    this.#flushing = this.#flushing.with(this.#committed);
    this.#committed = new Names();
  }

  flushEnds(): void {
    this.#flushing = new Names();
  }

  #some(test: (names: Names) => boolean): boolean {
    return test(this.#queued) || test(this.#inFlight) || test(this.#committed) || test(this.#flushing);
  }
}
