/** Flushes for everybody who asks: one at a time, and one for all who asked while the last one ran. */
export class Flusher {
  readonly #flush: () => Promise<void>;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(flush: () => Promise<void>) {
    this.#flush = flush;
  }

  /** Resolves when a flush that began after the call has ended. Rejects as it does. */
  flush(): Promise<void> {
    this.#next ??= this.#after(this.#running);
    return this.#next;
  }

  async #after(running: Promise<void> | undefined): Promise<void> {
    await running?.catch(() => undefined); // those who asked for it are told
    this.#running = this.#next;
    this.#next = undefined;
    await this.#flush();
  }
}
