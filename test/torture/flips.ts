/**
 * Flips bits in a small cache that was left behind, and has the next owner look at it in a process of its own. What may come
 * of it: right bytes, a miss, a wipe with its reason, or, of a damaged ledger, a refusal that says what to do; never a
 * wrong byte, never an owner who dies twice, never a hang.
 */
import { spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { bytesOf, openAt, tagOf } from "../support/temp-cache.js";

/** Blocks of the cache that is damaged, over so many files. */
export const BLOCKS = 48;
const FILES = 6;
export const BYTES = 9000;
const OWNER_MS_MAX = 60_000;
const LATE = `a hang of ${OWNER_MS_MAX} ms`;
/** Caches that one owner looks at. */
const FLIPS_A_RUN = 25;
/** A prime, so that flips go over all places. */
const STRIDE = 101;
const HEAD_BYTES = 160;
/** So many flips go to the meta pages, of which LMDB believes every word. */
const META_SHARE = 0.2;
const META_PAGES = 2;

export const flipTag = (block: number) => tagOf(Math.floor(block / FILES), `file${block % FILES}`);

/** A cache to damage: left clean, or by an owner who died after a flush, to be verified. */
export async function leaveCache(directory: string, kind: "clean" | "dead"): Promise<void> {
  if (kind === "dead") {
    const { signal, text } = await runOwner(["leave", directory]);
    if (signal !== "SIGKILL") throw new Error(`the owner was to die: ${text}`);
    return;
  }
  const cache = await openAt(directory, { onUnclean: "verify" });
  for (let block = 0; block < BLOCKS; block += 1) await cache.put(flipTag(block), bytesOf(block, BYTES));
  await cache.pin({ fs: "test", volume: "volume", inode: "file0" });
  await cache.close();
}

/** Places worth a flip: every page of index and ledger, the checkpoint, the signature, every slot. */
export function placesIn(
  directory: string,
): Array<{ readonly file: string; readonly at: number; readonly bytes: number }> {
  const places: Array<{ file: string; at: number; bytes: number }> = [];
  for (const name of fs.readdirSync(directory, { recursive: true, encoding: "utf8" })) {
    const file = path.join(directory, name);
    const wanted = /(^|\/)(data\.mdb|checkpoint|format)$|^slots\/[0-9]+\/[0-9]+$/.test(name);
    if (!wanted || !fs.statSync(file).isFile()) continue;
    const { size } = fs.statSync(file);
    for (let at = 0; at < size; at += 4096) places.push({ file: name, at, bytes: Math.min(4096, size - at) });
  }
  return places;
}

export interface Outcome {
  readonly kind: "right" | "wiped" | "refused" | "died once, then wiped" | "WRONG";
  readonly detail: string;
}

/** What owners of damaged caches make of them, one cache after another; one who dies is followed by another. */
export async function outcomesOf(directories: readonly string[]): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  while (outcomes.length < directories.length) {
    const left = directories.slice(outcomes.length);
    const { answers, signal, text } = await runOwner(["look", ...left]);
    outcomes.push(...answers);
    if (answers.length === left.length) break;
    outcomes.push(await afterDeath(left[answers.length] as string, signal, text));
  }
  return outcomes;
}

async function afterDeath(directory: string, signal: string | null, text: string): Promise<Outcome> {
  if (signal === null && text !== LATE) return { kind: "WRONG", detail: text };
  const { answers, signal: again, text: told } = await runOwner(["look", directory]);
  const [answer] = answers;
  // A machine that stood still is no hang of ours: what hangs does so twice.
  if (signal === null && answer !== undefined) return answer;
  if (answer?.kind === "wiped") return { kind: "died once, then wiped", detail: answer.detail };
  return { kind: "WRONG", detail: `died by ${signal}, and then: ${again ?? told} ${JSON.stringify(answer)}` };
}

async function runOwner(args: readonly string[]) {
  const source = import.meta.url.endsWith(".ts");
  const script = fileURLToPath(new URL(`flip-owner${source ? ".ts" : ".js"}`, import.meta.url));
  const child = spawn(process.execPath, [...(source ? ["--import", "tsx"] : []), script, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [text, errors, late] = ["", "", false];
  let timer: NodeJS.Timeout | undefined;
  const wait = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      late = true;
      child.kill("SIGKILL");
    }, OWNER_MS_MAX);
  };
  wait();
  child.stdout.on("data", (bytes: Buffer) => {
    text += bytes.toString();
    wait();
  });
  child.stderr.on("data", (bytes: Buffer) => (errors += bytes.toString()));
  const signal = await new Promise<NodeJS.Signals | null>((resolve) => {
    child.on("close", (_, by) => resolve(by));
  });
  clearTimeout(timer);
  const lines = text.split("\n").slice(0, -1);
  const answers = lines.map((line) => JSON.parse(line) as Outcome);
  return { answers, signal: late ? null : signal, text: late ? LATE : errors };
}

/** Leaves caches of both kinds behind, damages copies of them by one bit each, and counts what comes of it. */
export async function flipMany(
  place: string,
  { flips, random, tell }: { flips: number; random: () => number; tell: (line: string) => void },
): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for (const kind of ["clean", "dead"] as const) {
    const origin = path.join(place, kind);
    await leaveCache(origin, kind);
    const places = placesIn(origin);
    const metas = places.filter(({ file, at }) => file.endsWith("data.mdb") && at < META_PAGES * 4096);
    // Every page has its turn before any has a second one.
    const from = Math.floor(random() * places.length);
    for (let done = 0; done < flips / 2; done += FLIPS_A_RUN) {
      const directories: string[] = [];
      const told: string[] = [];
      for (let flip = done; flip < Math.min(done + FLIPS_A_RUN, flips / 2); flip += 1) {
        const inMeta = random() < META_SHARE;
        const number = inMeta ? Math.floor(random() * metas.length) : (from + flip * STRIDE) % places.length;
        const { file, at, bytes } = (inMeta ? metas : places)[number] as (typeof places)[0];
        const directory = path.join(place, `flip${flip}`);
        fs.cpSync(origin, directory, { recursive: true });
        // Heads of pages are where it hurts.
        const within = Math.floor(
          random() * (inMeta || random() < 0.5 ? Math.min(bytes, HEAD_BYTES) : bytes),
        );
        const bit = 1 << Math.floor(random() * 8);
        flipBit(path.join(directory, file), at + within, bit);
        directories.push(directory);
        told.push(`${kind} ${file} byte ${at + within} bit ${bit}`);
      }
      const outcomes = await outcomesOf(directories);
      for (const [number, { kind: outcome, detail }] of outcomes.entries()) {
        counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
        if (outcome === "WRONG") tell(`${told[number]}: ${detail}`);
      }
      for (const directory of directories) fs.rmSync(directory, { recursive: true, force: true });
    }
  }
  return counts;
}

function flipBit(file: string, at: number, bit: number): void {
  const fd = fs.openSync(file, "r+");
  const byte = Buffer.alloc(1);
  fs.readSync(fd, byte, 0, 1, at);
  byte[0] = (byte[0] as number) ^ bit;
  fs.writeSync(fd, byte, 0, 1, at);
  fs.closeSync(fd);
}
