/** Cuts: where in a recording the power fails, and what becomes of the writes that no flush had made durable. */
import { closeSync, openSync, writeSync } from "node:fs";
import { between } from "../support.js";
import { type DiskWrite, type LogRecord, hasMetaPage, unflushedAt } from "./disk-log.js";

/** How the drive treats what was not flushed. */
export type Tail =
  /** None of it is there. */
  | "lost"
  /** All before the last write, and part of that one. */
  | "prefix"
  /** Some of it, in any order, some of that torn. */
  | "some"
  /** Meta pages of LMDB alone, or all but those, or all with torn ones. */
  | "meta-only"
  | "no-meta"
  | "torn-meta";

export interface Cut {
  /** Records before it had happened. */
  readonly place: number;
  readonly tail: Tail;
  /** Of `some`: how likely a write is kept. */
  readonly kept: number;
  /** What the drive writes all or nothing. */
  readonly atomBytes: number;
  /** The machine did not reboot: the drive went away and came back. */
  readonly sameBoot: boolean;
  readonly seed: number;
}

/** When the power fails, as the scenarios have it. */
export const SCENES = ["running", "stopping", "stopped", "ledger", "stale", "meta"] as const;
export type Scene = (typeof SCENES)[number];

const TORN_SHARE = 0.3;
const MANY_UNFLUSHED = 6;

/** Picks cuts of one recording. */
export class CutPicker {
  readonly #records: readonly LogRecord[];
  readonly #random: () => number;
  readonly #places: Readonly<Record<Scene, readonly number[]>>;
  readonly #unflushed: Uint32Array;

  constructor(records: readonly LogRecord[], random: () => number) {
    this.#records = records;
    this.#random = random;
    this.#unflushed = unflushedAt(records);
    this.#places = placesOf(records);
  }

  pick(scene: Scene): Cut {
    const random = this.#random;
    const place = this.#placeFor(scene);
    const meta = (["meta-only", "no-meta", "torn-meta"] as const)[between(random, 0, 2)] as Tail;
    const plain = (["lost", "prefix", "some", "some"] as const)[between(random, 0, 3)] as Tail;
    return {
      place,
      tail: scene === "meta" && random() < 0.75 ? meta : plain,
      kept: [0.1, 0.5, 0.9][between(random, 0, 2)] as number,
      atomBytes: random() < 0.5 ? 512 : 4096,
      sameBoot: random() < 0.25,
      seed: between(random, 0, 2 ** 31),
    };
  }

  /** Places where much is unflushed are rare, so half of the cuts look for them. */
  #placeFor(scene: Scene): number {
    const places = this.#places[scene];
    const wanted = [0, 0, 2, MANY_UNFLUSHED][between(this.#random, 0, 3)] as number;
    const rich = places.filter((place) => (this.#unflushed[place - 1] ?? 0) >= wanted);
    const among = rich.length > 0 ? rich : places;
    return among[between(this.#random, 0, among.length - 1)] ?? this.#records.length;
  }
}

function placesOf(records: readonly LogRecord[]): Record<Scene, number[]> {
  const places = Object.fromEntries(SCENES.map((scene) => [scene, [] as number[]])) as Record<
    Scene,
    number[]
  >;
  const dropping = new Set<number>();
  let stage: "running" | "stopping" | "stopped" = "running";
  for (const [index, record] of records.entries()) {
    const after = index + 1;
    if (record.kind === "mark") {
      const { kind } = record.mark;
      if (kind === "closing") stage = "stopping";
      if (kind === "closed") stage = "stopped";
      if (kind === "opening") stage = "running";
      if (kind === "begin" && record.mark.operation.what === "drop") dropping.add(record.mark.worker);
      const isStale = kind === "done" && dropping.delete(record.mark.worker) && record.mark.worked;
      // A moment later the drive may have more of it, or of something else.
      const of = isStale ? "stale" : kind === "pinned" || kind === "unpinned" ? "ledger" : undefined;
      if (of !== undefined)
        for (const later of [0, 1, 2]) places[of].push(Math.min(records.length, after + later));
    }
    places[stage].push(after);
    if (record.kind === "write" && hasMetaPage(record))
      for (const later of [0, 0, 1, 2]) places.meta.push(Math.min(records.length, after + later));
  }
  return places;
}

/** How many unflushed writes a cut kept, tore and dropped. */
export interface TailCounts {
  kept: number;
  torn: number;
  dropped: number;
}

/** Makes of an image as it was before the recording one as it is after the cut. */
export function applyCut(
  image: string,
  records: readonly LogRecord[],
  cut: Cut,
  random: () => number,
): TailCounts {
  const counts: TailCounts = { kept: 0, torn: 0, dropped: 0 };
  let flushed = 0;
  for (let place = 0; place < cut.place; place += 1) if (records[place]?.kind === "flush") flushed = place;
  const writes = (from: number, end: number) =>
    records.slice(from, end).filter((record): record is DiskWrite => record.kind === "write");
  const fd = openSync(image, "r+");
  try {
    for (const write of writes(0, flushed)) put(fd, write);
    const tail = writes(flushed, cut.place);
    for (const [place, write] of tail.entries()) {
      const fate = fateOf(write, cut, place === tail.length - 1, random);
      counts[fate] += 1;
      if (fate === "kept") put(fd, write);
      else if (fate === "torn") putTorn(fd, write, cut.atomBytes, random);
    }
  } finally {
    closeSync(fd);
  }
  return counts;
}

function fateOf(write: DiskWrite, cut: Cut, last: boolean, random: () => number): keyof TailCounts {
  const tearable = write.bytes.length > cut.atomBytes;
  switch (cut.tail) {
    case "lost":
      return "dropped";
    case "prefix":
      return last ? (tearable ? "torn" : "dropped") : "kept";
    case "some":
      if (random() >= cut.kept) return "dropped";
      return tearable && random() < TORN_SHARE ? "torn" : "kept";
    case "meta-only":
      return hasMetaPage(write) ? "kept" : "dropped";
    case "no-meta":
      return hasMetaPage(write) ? "dropped" : "kept";
    case "torn-meta":
      return hasMetaPage(write) && tearable ? "torn" : "kept";
  }
}

function put(fd: number, { bytes, offset }: DiskWrite): void {
  for (let done = 0; done < bytes.length;)
    done += writeSync(fd, bytes, done, bytes.length - done, offset + done);
}

/** Some of its atoms are there, at least one is, at least one is not. */
function putTorn(fd: number, { bytes, offset }: DiskWrite, atomBytes: number, random: () => number): void {
  const atoms = Math.ceil(bytes.length / atomBytes);
  const [first, missing] = [between(random, 0, atoms - 1), between(random, 1, atoms - 1)];
  for (let atom = 0; atom < atoms; atom += 1) {
    const wanted = atom === first || (atom !== (first + missing) % atoms && random() < 0.5);
    if (!wanted) continue;
    const at = atom * atomBytes;
    put(fd, { kind: "write", offset: offset + at, bytes: bytes.subarray(at, at + atomBytes) });
  }
}
