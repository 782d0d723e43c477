/** What a session of an open cache is made with. */
import type { OpenState } from "./coherency/open-state.js";
import type { Limits } from "./limits.js";
import type { LogFunction } from "./log.js";
import type { PolicyName } from "./policy-names.js";
import type { SlotIo } from "./slots/io.js";

export interface SessionOptions {
  readonly state: OpenState;
  readonly limits: Limits;
  readonly policy: PolicyName;
  /** Whether the traffic is watched, for advice. */
  readonly advice: boolean;
  readonly log: LogFunction;
  readonly now: () => number;
  readonly beganMs: number;
  readonly io?: SlotIo;
  /** Publishes where blocks lie, for direct readers. */
  readonly publish?: boolean;
  /** The group that may read slot files and what is published. */
  readonly groupId?: number;
}
