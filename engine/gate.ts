/** Which calls a cache takes when: all while it runs, hardly any during a wipe, none from the beginning of its close. */
import { CacheError } from "../index/core/errors.js";
import type { Bypass, BypassReason } from "./api.js";
import type { Counters } from "./counters.js";

export interface GateParts {
  readonly health: { readonly sick: boolean };
  readonly counters: Counters;
}

export class Gate {
  readonly #health: GateParts["health"];
  readonly #counters: Counters;
  #wiping: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  #held = false;

  constructor({ health, counters }: GateParts) {
    this.#health = health;
    this.#counters = counters;
  }

  /** The close has begun; it may be over. */
  get closing(): boolean {
    return this.#closing !== undefined;
  }

  /** @throws {CacheError} E_CLOSED once the close has begun. */
  checkOpen(): void {
    if (this.#closing !== undefined) throw new CacheError("E_CLOSED", "Cannot use the cache: it is closed");
  }

  /** Whether no wipe is under way. @throws {CacheError} E_CLOSED. */
  running(): boolean {
    this.checkOpen();
    return this.#wiping === undefined;
  }

  /** Why calls about content are answered with a bypass now, if they are. @throws {CacheError} E_CLOSED. */
  admit(): BypassReason | undefined {
    if (!this.running()) return "closing";
    if (this.#held) return "io-error";
    return this.#health.sick ? "drive-sick" : undefined;
  }

  /** While it is held there is no index to ask. */
  hold(held: boolean): void {
    this.#held = held;
  }

  /** A caller who asks again at once must not keep the wipe or close from going on. */
  async refuse(reason: BypassReason): Promise<Bypass> {
    await new Promise<void>((resolve) => setImmediate(resolve));
    return this.#counters.bypass(reason);
  }

  /** Runs `body` at once, or after the wipe that is under way; no wipe and no close comes in between. */
  readonly betweenWipes = async <T>(body: () => Promise<T>): Promise<T> => {
    this.checkOpen();
    while (this.#wiping !== undefined) await this.#wiping.catch(() => undefined); // its caller is told
    this.checkOpen();
    return body();
  };

  /** A wipe began, between wipes. @returns its end. */
  wiping(wipe: Promise<void>): Promise<void> {
    this.#wiping = wipe.finally(() => {
      this.#wiping = undefined;
    });
    return this.#wiping;
  }

  /** Runs `work` after a wipe that is under way, once: whoever closes later gets the end of the first close. */
  close(work: () => Promise<void>): Promise<void> {
    this.#closing ??= this.#afterWipe(work);
    return this.#closing;
  }

  async #afterWipe(work: () => Promise<void>): Promise<void> {
    await this.#wiping?.catch(() => undefined); // its caller is told
    await work();
  }
}
