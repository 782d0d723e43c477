/** Calls about how much a cache may take, and how much it takes: each one ends when what exists fits. */
import { reached } from "../index/core/steps.js";
import type { CullReport } from "./api.js";
import { driveSpace } from "./cull/drive.js";
import type { GivenBack } from "./cull/give-back.js";
import type { Gate } from "./gate.js";
import { checkBytesMax } from "./handle-arguments.js";
import { type LimitOptions, type Limits, checkFits, limitsOf } from "./limits.js";
import type { Session } from "./session.js";

export class Capacity {
  readonly #session: Session;
  readonly #gate: Gate;

  constructor(session: Session, gate: Gate) {
    this.#session = session;
    this.#gate = gate;
  }

  /** As OwnedCache.configure. */
  async configure(options: LimitOptions): Promise<Limits> {
    const session = this.#session;
    const limits = await this.#gate.betweenWipes(async () => {
      const standing = session.standing();
      const wanted = limitsOf(options, driveSpace(session.options.state.paths.directory), standing);
      checkFits(wanted, { ...standing, ...session.blocks.life.ranking.kept.pinned });
      session.limit(wanted);
      reached("resize: limits stand");
      return wanted;
    });
    await this.#fit();
    reached("resize: fits");
    await session.pinKeeper.refit(); // there may be more room for pins
    return limits;
  }

  /** As BlockCache.cull. */
  async cull(options: { readonly usedBytesMax: number }): Promise<CullReport> {
    const usedBytesMax = await this.#gate.betweenWipes(async () =>
      checkBytesMax("cull", options.usedBytesMax),
    );
    const { blocks, bytes } = await this.#fit(usedBytesMax);
    return { blocks, bytes, usedBytes: this.#session.table.usedBytes };
  }

  /** As OpenFileCalls.evict. */
  evict(options: { readonly validBytesMax: number }): Promise<{ blocks: number; validBytes: number }> {
    const validBytesMax = checkBytesMax("evict", options.validBytesMax);
    return this.#gate.betweenWipes(async () => {
      const blocks = await this.#session.blocks.life.room.evict(validBytesMax);
      return { blocks, validBytes: this.#session.table.validBytes };
    });
  }

  /** A wipe may come in between; what it leaves has to fit as well. */
  async #fit(usedBytesMax?: number): Promise<GivenBack> {
    for (;;) {
      const given = await this.#gate.betweenWipes(() => this.#session.fit(usedBytesMax));
      if (given !== undefined) return given;
    }
  }
}
