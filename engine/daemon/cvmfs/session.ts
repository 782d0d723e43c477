/** One client's session: what it has open, what it is storing and what it is listing. What it asks: operations.ts. */
import type { OwnedCache } from "../../api.js";
import type { BufferPool } from "../buffer-pool.js";
import { Listings } from "./listings.js";
import type { ObjectName } from "./object-names.js";
import type { OpenObjects, References } from "./open-objects.js";
import type { Shrinks } from "./shrinks.js";
import type { Status } from "./statuses.js";
import { Transactions } from "./transactions.js";

/** What all sessions of a server share. */
export interface SessionParts {
  readonly cache: OwnedCache;
  readonly pool: BufferPool;
  readonly objects: OpenObjects;
  readonly shrinks: Shrinks;
  /** More is kept from culling than before. */
  readonly onChange: () => void;
}

export class Session {
  readonly id: number;
  /** Repository and instance, as the client names itself. */
  readonly client: string;
  readonly parts: SessionParts;
  readonly transactions: Transactions;
  readonly listings: Listings;
  readonly #references: References = new Map();
  #announced: number;

  constructor(parts: SessionParts, id: number, client: string) {
    const { objects } = parts;
    this.id = id;
    this.client = client;
    this.parts = parts;
    this.#announced = objects.takeOver(this.#references, client);
    this.listings = new Listings(parts.cache, (key) => objects.isOpen(key));
    this.transactions = new Transactions({
      ...parts,
      isThere: (name) => objects.find(name) !== undefined,
      open: (name) => this.change(name, 1),
      adopt: (name, record, file) => objects.adopt(this.#references, name, record, file),
    });
  }

  /** How often its client has said that it is about to reload. */
  get announced(): number {
    return this.#announced;
  }

  /** Opens or closes an object so many times, or looks for it. */
  change(name: ObjectName, by: number): Status {
    return this.parts.objects.change(this.#references, name, by);
  }

  /** A reload begins (more than 0) or is over (less); one that never began is none. */
  announce(by: number): void {
    const { objects } = this.parts;
    if (by < 0 && this.#announced < -by) this.#announced += objects.takeOverOldest(this.#references);
    this.#announced = Math.max(0, this.#announced + by);
  }

  /** Its client has gone. What it has open ends, unless it said that it would be back. */
  async close(): Promise<void> {
    const { objects } = this.parts;
    if (this.#announced > 0) objects.park(this.#references, this.client, this.#announced);
    else objects.release(this.#references);
    this.#announced = 0;
    await this.transactions.close();
  }
}
