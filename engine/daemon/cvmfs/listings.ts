/** Listings of objects by type, in batches, each continued by its number. */
import type { OwnedCache } from "../../api.js";
import { LISTINGS_MAX, LISTING_BYTES_MAX, LISTING_FILES_MAX } from "./limits.js";
import { type MsgListRecord, type U64, u64Key } from "./messages.js";
import { DIGEST_BYTES, FS, VOLUMES, hashOf, recordOf } from "./object-names.js";

/** What a record takes besides its description. */
const RECORD_BYTES = 48;

interface Listing {
  readonly id: number;
  readonly type: number;
  volume: number;
  after: Buffer | undefined;
}

export interface Batch {
  readonly id: number;
  readonly records: readonly MsgListRecord[];
  readonly isLast: boolean;
}

export class Listings {
  readonly #cache: Pick<OwnedCache, "files">;
  readonly #isOpen: (key: string) => boolean;
  readonly #listings = new Map<number | string, Listing>();
  #nextId = 1;

  /** @param isOpen whether somebody has the object of this key open. */
  constructor(cache: Pick<OwnedCache, "files">, isOpen: (key: string) => boolean) {
    this.#cache = cache;
    this.#isOpen = isOpen;
  }

  /** The first batch of a new listing for id 0, else the next one of a listing; undefined if there is none of this id or type. */
  async next(id: U64, type: number): Promise<Batch | undefined> {
    const key = u64Key(id);
    const listing = key === 0 ? this.#begin(type) : this.#listings.get(key);
    if (listing === undefined || listing.type !== type) return undefined;
    const { records, isLast } = await this.#batch(listing);
    if (isLast) this.#listings.delete(listing.id);
    return { id: listing.id, records, isLast };
  }

  #begin(type: number): Listing {
    const listing = { id: this.#nextId, type, volume: 0, after: undefined };
    this.#nextId += 1;
    this.#listings.set(listing.id, listing);
    for (const oldest of this.#listings.keys()) {
      if (this.#listings.size <= LISTINGS_MAX) break;
      this.#listings.delete(oldest);
    }
    return listing;
  }

  async #batch(listing: Listing): Promise<Pick<Batch, "records" | "isLast">> {
    const records: MsgListRecord[] = [];
    let bytes = 0;
    let files = 0;
    while (bytes < LISTING_BYTES_MAX && files < LISTING_FILES_MAX) {
      const volume = VOLUMES[listing.volume];
      if (volume === undefined) return { records, isLast: true };
      const { after } = listing;
      const page = await this.#cache.files({ fs: FS, volume }, after === undefined ? {} : { after });
      for (const { inode, look } of page.files) {
        const record = inode.length === DIGEST_BYTES ? recordOf(look) : undefined;
        if (record?.type !== listing.type) continue;
        const pinned = this.#isOpen(volume + inode.toString("latin1"));
        records.push({ hash: hashOf(volume, inode), pinned, description: record.description });
        bytes += RECORD_BYTES + record.description.length;
      }
      files += page.files.length;
      listing.after = page.more ? page.files.at(-1)?.inode : undefined;
      if (listing.after === undefined) listing.volume += 1;
    }
    return { records, isLast: false };
  }
}
