/** One cut: the disk as it is after it, mounted, and handed to the next owner of the cache. */
import { spawn } from "node:child_process";
import { mkdirSync, rmSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { program } from "../children.js";
import { seededRandom } from "../support.js";
import { type Cut, type TailCounts, applyCut } from "./cuts.js";
import type { LogRecord } from "./disk-log.js";
import type { Mark } from "../promised/marks.js";
import { type FileSystem, type Scratch, copyImage, fileSystemTrouble, mountOptions } from "./machine.js";
import { Model } from "../promised/model.js";
import type { Finding } from "../promised/look.js";
import type { Order } from "./survivor.js";

const SURVIVAL_MS_MAX = 60_000;
/** `sh -c SURVIVE options image place command…`, in mounts of its own, so that nobody else keeps the image busy. */
const SURVIVE =
  'mount -o "$0" "$1" "$2" && place=$2 && shift 2 && { "$@"; status=$?; umount "$place" && exit $status; }';
/** A new id at every read; lmdb wants the file on procfs. */
const ANOTHER_BOOT = `mount --bind /proc/sys/kernel/random/uuid /proc/sys/kernel/random/boot_id && ${SURVIVE}`;

export interface Case {
  readonly fs: FileSystem;
  readonly base: string;
  readonly records: readonly LogRecord[];
  readonly cut: Cut;
  /** What the next owner is told, and what the ones before were. */
  readonly onUnclean: string;
  readonly writtenFor: string;
  /** All that had been marked by then, in the recordings before this one too. */
  readonly marks: readonly Mark[];
}

export interface Verdict extends Finding {
  readonly tail: TailCounts;
}

export function marksOf(records: readonly LogRecord[]): Mark[] {
  return records.flatMap((record) => (record.kind === "mark" ? [record.mark] : []));
}

/** The image after the cut. */
export async function cutImage(
  scratch: Scratch,
  { base, records, cut }: Pick<Case, "base" | "records" | "cut">,
): Promise<[string, TailCounts]> {
  const image = await copyImage(scratch, base);
  return [image, applyCut(image, records, cut, seededRandom(cut.seed))];
}

/** Never rejects for what the cache does: that is a problem in the verdict. */
export async function judge(scratch: Scratch, of: Case): Promise<Verdict> {
  const { fs, cut, onUnclean, marks } = of;
  const [image, tail] = await cutImage(scratch, of);
  const model = new Model();
  for (const mark of marks) model.apply(mark);
  const [place, orderFile] = [scratch.place("mount"), scratch.place("order")];
  mkdirSync(place, { mode: 0o700 });
  const order: Order = { directory: join(place, "cache"), onUnclean, expected: model.expectation() };
  writeFileSync(orderFile, JSON.stringify(order));
  const mounting = [cut.sameBoot ? SURVIVE : ANOTHER_BOOT, mountOptions(fs, true), image, place];
  const finding = await survive(["unshare", "--mount", "sh", "-c", ...mounting], orderFile);
  const trouble = await fileSystemTrouble(fs, image);
  const isWrongly = of.writtenFor !== "verify" && finding.action === "verify";
  const problems = [
    ...model.problems,
    ...finding.problems,
    ...(isWrongly ? ["start: an index was verified that was not written for it"] : []),
    ...(trouble === undefined ? [] : [`rig: ${trouble}`]),
  ];
  for (const file of [image, orderFile]) rmSync(file);
  rmdirSync(place);
  return { ...finding, problems, tail };
}

async function survive(mounted: readonly string[], orderFile: string): Promise<Finding> {
  const { script, flags } = program("./powercut/survivor");
  const command = [...mounted, process.execPath, "--enable-source-maps", ...flags, script, orderFile];
  // A group of its own, to be ended as a whole.
  const child = spawn(command[0] as string, command.slice(1), {
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  const timer = setTimeout(() => process.kill(-(child.pid as number), "SIGKILL"), SURVIVAL_MS_MAX);
  let [out, err] = ["", ""];
  child.stdout.on("data", (bytes: Buffer) => (out += bytes.toString()));
  child.stderr.on("data", (bytes: Buffer) => (err += bytes.toString()));
  const ended = await new Promise<string>((resolve) =>
    child.on("close", (code, signal) => resolve(String(signal ?? code))),
  );
  clearTimeout(timer);
  if (ended === "0") return JSON.parse(out.trim().split("\n").at(-1) as string) as Finding;
  return { start: "none", action: "none", hits: 0, problems: [`start: ended with ${ended}: ${err.trim()}`] };
}
