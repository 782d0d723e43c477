/** What the requests under way on one connection take of what it may have, and of what all connections have together. */
import { SMALL_REQUEST_BYTES } from "./limits.js";
import type { ServerLimits } from "./limits.js";

/** Requests and replies under way in all connections of a server. */
export interface InFlight {
  bytes: number;
  requests: number;
}

export class RequestShare {
  readonly #limits: ServerLimits;
  readonly #all: InFlight;
  #requests = 0;
  #bytes = 0;

  constructor(limits: ServerLimits, all: InFlight) {
    this.#limits = limits;
    this.#all = all;
  }

  get requests(): number {
    return this.#requests;
  }

  /** Whether there is room for a request: a small one of every connection finds some, whatever others do. */
  grants(bytes: number): boolean {
    return bytes <= SMALL_REQUEST_BYTES || this.#all.bytes + bytes <= this.#limits.bytes;
  }

  /** Nothing more is read until something has ended. */
  get full(): boolean {
    const { requestsPerConnection, bytesPerConnection, bytes } = this.#limits;
    if (this.#requests >= requestsPerConnection || this.#bytes >= bytesPerConnection) return true;
    return this.#all.bytes >= bytes && this.#requests > 0;
  }

  begin(costBytes: number): void {
    this.#add(1, costBytes);
  }

  /** A request under way takes more than was known at its beginning. */
  grow(bytes: number): void {
    this.#add(0, bytes);
  }

  end(costBytes: number): void {
    this.#add(-1, -costBytes);
  }

  #add(requests: number, bytes: number): void {
    this.#requests += requests;
    this.#bytes += bytes;
    this.#all.requests += requests;
    this.#all.bytes += bytes;
  }
}
