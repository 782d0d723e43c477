/** Writers that wait for room, served in the order in which they came. */
import type { BypassReason } from "../api.js";

/** How long a writer waits for room before it is told to do without. */
export const RESERVE_WAIT_MS = 2000;
export const RESERVE_WAITERS_MAX = 4096;

export interface Reservation {
  readonly slot: number;
  /** The slot's file does not exist yet. */
  readonly create: boolean;
}

export type ReserveAnswer = Reservation | BypassReason;

interface Waiter {
  readonly pages: number;
  readonly done: (answer: ReserveAnswer) => void;
}

export interface WaitingParts {
  /** A slot for so many pages, at once or not at all. */
  readonly take: (pages: number) => Reservation | undefined;
  /** Why a writer has waited in vain. */
  readonly reason: (pages: number) => BypassReason;
}

export class Waiting {
  readonly #parts: WaitingParts;
  readonly #waiters: Waiter[] = [];

  constructor(parts: WaitingParts) {
    this.#parts = parts;
  }

  get waiters(): number {
    return this.#waiters.length;
  }

  /** Pages that the first of them wants. */
  get headPages(): number | undefined {
    return this.#waiters[0]?.pages;
  }

  /** Resolves when it is this writer's turn and there is room, or with the reason why there was none in time. */
  wait(pages: number): Promise<ReserveAnswer> {
    if (this.#waiters.length >= RESERVE_WAITERS_MAX) return Promise.resolve("overload");
    return new Promise((resolve) => {
      const waiter: Waiter = {
        pages,
        done: (answer) => {
          clearTimeout(timer);
          resolve(answer);
        },
      };
      const timer = setTimeout(() => {
        this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
        resolve(this.#parts.reason(pages));
        this.serve();
      }, RESERVE_WAIT_MS);
      this.#waiters.push(waiter);
    });
  }

  /** Serves as many as can be served. */
  serve(): void {
    for (let head = this.#waiters[0]; head !== undefined; head = this.#waiters[0]) {
      const reservation = this.#parts.take(head.pages);
      if (reservation === undefined) return;
      this.#waiters.shift();
      head.done(reservation);
    }
  }

  /** Tells the first that the drive is full. */
  refuseHead(): void {
    this.#waiters.shift()?.done("drive-full");
  }

  /** Ends all waiting. */
  close(): void {
    for (const waiter of this.#waiters.splice(0)) waiter.done("closing");
  }
}
