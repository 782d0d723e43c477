/** Recordings, the cuts of each, and chains of them: cut, recover, go on, cut again. What is found goes to a tally. */
import { rmSync, writeFileSync } from "node:fs";
import { between } from "../support.js";
import { BUGS, type Bug } from "./bugs.js";
import { type Cut, CutPicker, SCENES, type Scene } from "./cuts.js";
import { type Case, type Verdict, cutImage, judge, marksOf } from "./judge.js";
import { type FileSystem, type Recording, type Scratch, makeImage, record } from "./machine.js";
import type { Mark } from "../promised/marks.js";
import type { Tally } from "./tally.js";
import type { Session } from "./workload.js";

export const CHAIN_CUTS = 10;
const PARALLEL = 2;
const BUG_CUTS_MAX = 16;
const VERSIONS_A_RECORDING = 1_000_000;

/** One way of running the cache. */
export interface Part {
  readonly fs: FileSystem;
  readonly onUnclean: string;
}

/** Several stops, one after a load so long that slots were synced beside it, one with two seconds of rest after it. */
const SESSIONS: readonly Session[] = [
  { workMs: 400, idleMs: 150, writeBack: true },
  { workMs: 250, idleMs: 50, writeBack: false },
  { workMs: 1500, idleMs: 200, writeBack: true },
  { workMs: 250, idleMs: 2000, writeBack: false },
  { workMs: 500, writeBack: true },
];
/** A long rest after a stop, and then a while in which the kernel writes now and then. */
const BUGGY: readonly Session[] = [
  { workMs: 300, idleMs: 1200, writeBack: false },
  { workMs: 800, writeBack: true },
];

export class Rig {
  readonly #scratch: Scratch;
  readonly #random: () => number;
  readonly #images = new Map<FileSystem, Promise<string>>();
  #recordings = 0;

  constructor(scratch: Scratch, random: () => number) {
    this.#scratch = scratch;
    this.#random = random;
  }

  /** Cuts one recording at so many places, in all scenes. */
  async cutMany(part: Part, cuts: number, tally: Tally): Promise<void> {
    const recording = await this.#record(part, await this.#image(part.fs), SESSIONS);
    const picker = new CutPicker(recording.records, this.#random);
    const wanted = Array.from(
      { length: cuts },
      (_, number) => SCENES[(this.#recordings + number) % SCENES.length] as Scene,
    );
    const queue = wanted.map((scene) => ({ scene, cut: picker.pick(scene) })).values();
    const work = async (): Promise<void> => {
      for (const { scene, cut } of queue) {
        // Half of the next owners would verify what was not written to be verified.
        const onUnclean = this.#random() < 0.5 ? "verify" : part.onUnclean;
        await this.#judge({ ...part, onUnclean }, recording, { scene, cut, earlier: [] }, tally);
      }
    };
    await Promise.all(Array.from({ length: PARALLEL }, work));
    this.#discard(recording, tally);
  }

  /** Cuts, recovers, goes on, and cuts again, so many times. */
  async chain(part: Part, cuts: number, tally: Tally): Promise<void> {
    let base = await this.#image(part.fs);
    const earlier: Mark[] = [];
    for (let round = 0; round < cuts; round += 1) {
      const last = { workMs: between(this.#random, 200, 600), writeBack: this.#random() < 0.5 };
      const first = { ...last, idleMs: between(this.#random, 0, 200) };
      const recording = await this.#record(part, base, this.#random() < 0.6 ? [first, last] : [last]);
      const scene = SCENES[between(this.#random, 0, SCENES.length - 1)] as Scene;
      const cut = new CutPicker(recording.records, this.#random).pick(scene);
      const ok = await this.#judge(part, recording, { scene: "chain", cut, earlier }, tally);
      if (!ok) return;
      const [next] = await cutImage(this.#scratch, { ...recording, cut });
      earlier.push(...marksOf(recording.records.slice(0, cut.place)));
      this.#discard(recording, tally);
      if (round > 0) rmSync(base);
      base = next;
    }
    rmSync(base);
  }

  /** Whether a planted bug is seen. @returns how many cuts it took, and what was seen first. */
  async seeBug(part: Part, bug: Bug): Promise<{ cuts: number; seen: string | undefined }> {
    const recording = await this.#record(part, await this.#image(part.fs), BUGGY, bug);
    const picker = new CutPicker(recording.records, this.#random);
    for (let cuts = 1; cuts <= BUG_CUTS_MAX; cuts += 1) {
      const cut = picker.pick(BUGS[bug].scene);
      const { problems } = await judge(this.#scratch, this.#caseOf(part, recording, cut, []));
      const seen = problems.find((problem) => !problem.startsWith("rig:"));
      if (seen !== undefined) {
        rmSync(recording.logFile);
        return { cuts, seen };
      }
    }
    return { cuts: BUG_CUTS_MAX, seen: undefined };
  }

  #image(fs: FileSystem): Promise<string> {
    const made = this.#images.get(fs) ?? makeImage(this.#scratch, fs);
    this.#images.set(fs, made);
    return made;
  }

  #record(part: Part, base: string, sessions: readonly Session[], bug?: Bug): Promise<Recording> {
    this.#recordings += 1;
    const firstVersion = this.#recordings * VERSIONS_A_RECORDING;
    const { onUnclean } = part;
    const plan = { seed: between(this.#random, 0, 2 ** 31), firstVersion, sessions, onUnclean };
    return record(this.#scratch, part.fs, base, { ...plan, ...(bug !== undefined && { bug }) });
  }

  #caseOf(part: Part, recording: Recording, cut: Cut, earlier: readonly Mark[]): Case {
    const { base, records, onUnclean: writtenFor } = recording;
    return {
      ...part,
      writtenFor,
      base,
      records,
      cut,
      marks: [...earlier, ...marksOf(records.slice(0, cut.place))],
    };
  }

  async #judge(
    part: Part,
    recording: Recording,
    of: { readonly scene: Scene | "chain"; readonly cut: Cut; readonly earlier: readonly Mark[] },
    tally: Tally,
  ): Promise<boolean> {
    const wanted = this.#caseOf(part, recording, of.cut, of.earlier);
    const verdict: Verdict = await judge(this.#scratch, wanted);
    const kept = verdict.problems.length > 0 ? this.#keep(recording, wanted) : undefined;
    tally.add(of.scene, verdict, kept);
    return kept === undefined;
  }

  /** Writes down what it takes to have the same cut again. @returns the file. */
  #keep({ base, logFile, logBytes }: Recording, { fs, cut, onUnclean, writtenFor, marks }: Case): string {
    const file = this.#scratch.place("cut");
    writeFileSync(file, JSON.stringify({ fs, base, logFile, logBytes, cut, onUnclean, writtenFor, marks }));
    return file;
  }

  #discard(recording: Recording, tally: Tally): void {
    if (!tally.failed) rmSync(recording.logFile);
  }
}
