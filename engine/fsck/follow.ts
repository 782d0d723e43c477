/** Begins a check of an open cache, here or behind a socket, and follows it to its end. */
import { setTimeout as sleep } from "node:timers/promises";
import { CacheError } from "../../index/core/errors.js";
import {
  FINDINGS_KEPT_MAX,
  type FsckCalls,
  type FsckFinding,
  type FsckOptions,
  type FsckProgress,
  type FsckReport,
} from "../fsck-api.js";
import { CheckEnded } from "./course.js";

const LOOK_MS_MIN = 5;
const LOOK_MS_MAX = 200;

export interface FollowOptions extends FsckOptions {
  readonly onProgress?: (progress: FsckProgress) => void;
  /** Ends the check. */
  readonly signal?: AbortSignal;
}

/**
 * @throws {CheckEnded} when it ended before its end; {CacheError} E_ARGUMENT, E_CLOSED, E_BUSY while another runs; E_IO when it
 * failed.
 */
export async function followFsck(calls: FsckCalls, options: FollowOptions = {}): Promise<FsckReport> {
  const { onProgress, signal, ...wanted } = options;
  const findings: FsckFinding[] = [];
  let status = await calls.start(wanted);
  const { id } = status;
  findings.push(...status.findings);
  let lookMs = LOOK_MS_MIN;
  while (status.state === "running" || findings.length < Math.min(status.found, FINDINGS_KEPT_MAX)) {
    if (status.state === "running") {
      onProgress?.(status.progress);
      await sleep(lookMs);
      lookMs = Math.min(LOOK_MS_MAX, lookMs * 2);
      if (signal?.aborted === true) await calls.stop();
    }
    status = await calls.status({ after: findings.length });
    if (status.id !== id) throw new CheckEnded("another check took its place");
    if (status.findings.length === 0 && status.state !== "running") break;
    findings.push(...status.findings);
  }
  const { state, reason = "", found, repaired, foundByCode, counts, clean } = status;
  if (state === "stopped") throw new CheckEnded(reason);
  if (state !== "done") throw new CacheError("E_IO", `Cannot check to the end: ${reason}`);
  return { findings, found, repaired, foundByCode, counts, clean };
}
