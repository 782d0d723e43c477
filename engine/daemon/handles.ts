/** The volume and cookie handles that one connection holds, by number; they end with the connection. */
import { CacheError, messageOf } from "../../index/core/errors.js";
import type { CookieHandle, VolumeHandle } from "../api.js";
import type { Logger } from "./logger.js";

/** Handles of all connections together. */
export interface HandleCount {
  value: number;
  readonly max: number;
  /** To each connection, whatever others hold. */
  readonly granted: number;
}

interface Volume {
  readonly handle: VolumeHandle;
  readonly cookies: Set<number>;
}

interface Cookie {
  readonly handle: CookieHandle;
  readonly volume: Volume;
}

/** Numbers are given from 1 and never again, so that a late request cannot reach another's handle. */
export class HandleTable {
  readonly #handlesMax: number;
  readonly #total: HandleCount;
  readonly #volumes = new Map<number, Volume>();
  readonly #cookies = new Map<number, Cookie>();
  #held = 0;
  #last = 0;
  #closed = false;

  constructor(handlesMax: number, total: HandleCount) {
    this.#handlesMax = handlesMax;
    this.#total = total;
  }

  /**
   * Acquires a volume and gives it a number.
   * @throws {CacheError} E_LIMIT before `acquire` is called, E_CLOSED if the connection ended meanwhile.
   */
  async addVolume(acquire: () => Promise<VolumeHandle>): Promise<{ id: number; handle: VolumeHandle }> {
    const handle = await this.#reserved(acquire);
    this.#last += 1;
    this.#volumes.set(this.#last, { handle, cookies: new Set() });
    return { id: this.#last, handle };
  }

  /**
   * Acquires a cookie of a volume and gives it a number.
   * @throws {CacheError} as addVolume, and E_NOT_FOUND for an unknown volume.
   */
  async addCookie(
    volumeId: number,
    acquire: (volume: VolumeHandle) => Promise<CookieHandle>,
  ): Promise<{ id: number; handle: CookieHandle }> {
    const volume = this.#volumeOf(volumeId);
    const handle = await this.#reserved(() => acquire(volume.handle));
    if (this.#volumes.get(volumeId) !== volume) {
      this.#forget(1);
      await handle.relinquish();
      throw notFound("volume", volumeId);
    }
    this.#last += 1;
    this.#cookies.set(this.#last, { handle, volume });
    volume.cookies.add(this.#last);
    return { id: this.#last, handle };
  }

  /** @throws {CacheError} E_NOT_FOUND */
  volume(id: number): VolumeHandle {
    return this.#volumeOf(id).handle;
  }

  /** @throws {CacheError} E_NOT_FOUND */
  cookie(id: number): CookieHandle {
    const cookie = this.#cookies.get(id);
    if (cookie === undefined) throw notFound("cookie", id);
    return cookie.handle;
  }

  get held(): number {
    return this.#held;
  }

  /** Forgets a volume and its cookies, after they were given up. */
  removeVolume(id: number): void {
    const volume = this.#volumes.get(id);
    if (volume === undefined) return;
    this.#volumes.delete(id);
    for (const cookie of volume.cookies) this.#cookies.delete(cookie);
    this.#forget(1 + volume.cookies.size);
  }

  removeCookie(id: number): void {
    const cookie = this.#cookies.get(id);
    if (cookie === undefined) return;
    this.#cookies.delete(id);
    cookie.volume.cookies.delete(id);
    this.#forget(1);
  }

  /** Gives up everything, when the connection has ended. */
  async close(log: Logger): Promise<void> {
    this.#closed = true;
    const volumes = [...this.#volumes];
    for (const [id] of volumes) this.removeVolume(id);
    for (const [, volume] of volumes) {
      try {
        await volume.handle.relinquish();
      } catch (error) {
        log.debug("a handle of a closed connection could not be given up", { error: messageOf(error) });
      }
    }
  }

  #volumeOf(id: number): Volume {
    const volume = this.#volumes.get(id);
    if (volume === undefined) throw notFound("volume", id);
    return volume;
  }

  /** Counts the handle before it exists, so that requests side by side cannot pass the limit together. */
  async #reserved<Handle extends VolumeHandle | CookieHandle>(
    acquire: () => Promise<Handle>,
  ): Promise<Handle> {
    const allHold = this.#total.value >= this.#total.max && this.#held >= this.#total.granted;
    if (this.#held >= this.#handlesMax || allHold) {
      throw new CacheError(
        "E_LIMIT",
        `Cannot acquire: this connection holds ${this.#held} of ${this.#handlesMax} handles, all hold ${this.#total.value} of ${this.#total.max}`,
      );
    }
    this.#forget(-1);
    let handle: Handle;
    try {
      handle = await acquire();
    } catch (error) {
      this.#forget(1);
      throw error;
    }
    if (!this.#closed) return handle;
    this.#forget(1);
    await handle.relinquish();
    throw new CacheError("E_CLOSED", "Cannot acquire: the connection has ended");
  }

  #forget(count: number): void {
    this.#held -= count;
    this.#total.value -= count;
  }
}

function notFound(what: string, id: number): CacheError {
  return new CacheError("E_NOT_FOUND", `Cannot use ${what} handle ${id}: this connection does not hold it`);
}
