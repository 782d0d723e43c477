/** Checks of an open cache, one at a time, beside its service. */
import { CacheError, messageOf } from "../../index/core/errors.js";

import type { DriveHealth } from "../drive-health.js";
import type { SlotLinks } from "../cull/linked-slots.js";
import { monotonicMs } from "../clock.js";
import {
  FINDINGS_A_STATUS_MAX,
  FSCK_ABANDONED_MS,
  FSCK_BYTES_PER_SECOND,
  type FsckOptions,
  type FsckStatus,
} from "../fsck-api.js";
import type { LogFunction } from "../log.js";
import type { OpenState } from "../coherency/open-state.js";
import type { Checksummer } from "../slots/checksums.js";
import { heldBadGroup } from "../slots/intact.js";
import type { SlotFiles } from "../slots/slot-files.js";

import { CheckEnded, Course, checkRate } from "./course.js";
import { FindingList } from "./findings.js";
import { type Counted, type Ground, noCounts } from "./ground.js";
import { OpenMender, type OpenParts } from "./mend-open.js";
import { Orders } from "./orders.js";
import { walk } from "./walk.js";

export interface OnlineParts extends OpenParts {
  readonly files: SlotFiles;
  readonly links: SlotLinks;

  readonly checksummer: Checksummer;
  readonly health: DriveHealth;
  readonly state: OpenState;
  /** The next number of the one sequence. */
  readonly nextSequence: () => number;
  readonly log: LogFunction;
}

interface Run {
  readonly id: number;
  readonly deep: boolean;
  readonly repair: boolean;

  readonly course: Course;
  readonly findings: FindingList;
  readonly counts: Counted;
  state: FsckStatus["state"];
  reason?: string;
  /** Why it has to end, if it has to. */
  ends: string | undefined;
  askedMs: number;
}

export class OnlineFsck {
  readonly #parts: OnlineParts;
  #run: Run;
  #running: Promise<void> | undefined;

  constructor(parts: OnlineParts) {
    this.#parts = parts;
    this.#run = { ...this.#newRun({}, 0), state: "none" };
  }

  /** @throws {CacheError} E_ARGUMENT, E_BUSY. */
  start(options: FsckOptions): FsckStatus {
    checkRate(options.bytesPerSecond);
    if (this.#running !== undefined)
      throw new CacheError("E_BUSY", `Cannot check: check ${this.#run.id} is running`);
    const run = this.#newRun(options, this.#run.id + 1);
    this.#run = run;
    this.#running = this.#check(run).finally(() => {
      this.#running = undefined;
    });
    return this.status(0);
  }

  status(after: number): FsckStatus {
    const { id, state, deep, repair, reason, course, findings, counts } = this.#run;
    this.#run.askedMs = monotonicMs();
    const report = findings.report(counts);
    return {
      ...report,
      findings: report.findings.slice(after, after + FINDINGS_A_STATUS_MAX),
      id,
      state,
      deep,
      repair,
      progress: course.progress,
      ...(reason !== undefined && { reason }),
    };
  }

  /** Resolves when no check is under way. */
  async stop(reason: string): Promise<void> {
    this.#run.ends ??= reason;
    await this.#running;
  }

  #newRun({ deep = false, repair = false, bytesPerSecond }: FsckOptions, id: number): Run {
    const rate = bytesPerSecond ?? (deep ? FSCK_BYTES_PER_SECOND : Number.POSITIVE_INFINITY);
    const run: Run = {
      id,
      deep,
      repair,
      course: new Course({ bytesPerSecond: rate, over: () => this.#whyOver(run) }),
      findings: new FindingList(),
      counts: noCounts(),
      state: "running",
      ends: undefined,
      askedMs: monotonicMs(),
    };
    return run;
  }

  #whyOver(run: Run): string | undefined {
    if (this.#parts.health.sick) return "the drive is sick";
    if (monotonicMs() - run.askedMs > FSCK_ABANDONED_MS)
      return `nobody asked how far it is for ${FSCK_ABANDONED_MS / 1000} seconds`;
    return run.ends;
  }

  /** Never rejects. */
  async #check(run: Run): Promise<void> {
    const { log } = this.#parts;
    const { course, findings, counts, deep, repair } = run;
    const mender = repair ? new OpenMender(this.#parts) : undefined;
    try {
      await walk({ ground: this.#ground(), deep, mender, course, findings, counts });
      run.state = "done";
    } catch (error) {
      run.state = error instanceof CheckEnded ? "stopped" : "failed";
      run.reason = messageOf(error);
    }
    const { found } = findings.report(counts);
    log(found > 0 || run.state === "failed" ? "warn" : "info", "fsck ended", {
      state: run.state,
      findings: found,
      ...(run.reason !== undefined && { reason: run.reason }),
    });
  }

  #ground(): Ground {
    const { table, files, links, blocks, checksummer, state, nextSequence } = this.#parts;
    const { life } = blocks;
    const { index, objects, ranking, room } = life;
    return {
      index,
      table,
      files,
      ledger: state.ledger,
      epoch: life.epoch,
      slotsRoot: state.paths.slots,
      next: () => ({
        sequence: nextSequence(),
        objectId: objects.counters.nextObjectId,
        volumeId: objects.counters.nextVolumeId,
      }),
      objectsCounted: () => objects.counters.objects,
      entryOf: (objectId, block) => blocks.entryOf(objectId, block),
      badGroup: (named) => heldBadGroup({ files, checksummer, blocks, room }, named),
      orders: new Orders({ table, links, ranking, free: room.free }),
      marked: "unclean",
    };
  }
}
