/** Breaks a closed cache as fixtures/broken.json says. */
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { type Checkpoint, readCheckpoint, writeCheckpoint } from "../../engine/coherency/checkpoint.js";
import { readSignature, writeSignature } from "../../engine/coherency/signature.js";
import type { FindingCode } from "../../engine/fsck-api.js";
import { INDEX_TABLES, type IndexTable } from "../../index/batch.js";
import { BlockIndex } from "../../index/block-index.js";
import type { Entry } from "../../index/entry.js";
import { Environment } from "../../index/environment.js";
import { Ledger, type StateMark } from "../../index/ledger.js";
import { bytesOf, openAt, store, tagOf } from "./temp-cache.js";

type FileDamage =
  | { readonly do: "remove" | "link" | "symlink" | "directory" | "fifo" | "make" }
  | { readonly do: "truncate" | "append" | "garbage"; readonly bytes: number }
  | { readonly do: "flip"; readonly at: number }
  | { readonly do: "copy"; readonly from: string };

type RecordDamage = {
  readonly record: IndexTable;
  /** As far as there are so many, else going around; as `entry`. */
  readonly nth: number;
  readonly do: "garbage" | "remove";
  /** The last stop does not know of it. */
  readonly late?: true;
};

export type Damage =
  | ({ readonly file: string } & FileDamage)
  | { readonly mark: StateMark["state"] }
  | { readonly checkpoint: Partial<Checkpoint> }
  | { readonly signature: string }
  | { readonly entry: number; readonly set?: Partial<Entry>; readonly do?: "remove" }
  | { readonly object: { readonly id: number; readonly volumeId: number; readonly inode: string } }
  | { readonly metadata: { readonly objectId: number; readonly sequence: number } }
  | { readonly note: "garbage" }
  | RecordDamage;

export interface BrokenCase {
  readonly name: string;
  readonly damage: readonly Damage[];
  /** Codes that a check finds, each at least once; `deep` what a deep one does if that is more. */
  readonly finds: readonly FindingCode[];
  readonly deep?: readonly FindingCode[];
  /** What a deep repair makes of it, and what it leaves. */
  readonly after: "untouched" | "mended" | "wiped" | "refused";
  readonly left?: readonly FindingCode[];
  /** Blocks of the file that are hits after it; the others are misses. */
  readonly hits?: readonly number[];
}

const CORPUS = ["../../fixtures/broken.json", "../../../fixtures/broken.json"]
  .map((name) => fileURLToPath(new URL(name, import.meta.url)))
  .find((name) => fs.existsSync(name)) as string;
export const BROKEN_CASES = (
  JSON.parse(fs.readFileSync(CORPUS, "utf8")) as { readonly cases: readonly BrokenCase[] }
).cases;

export const BLOCKS = 4;
export const BYTES = 9000;
export const ATTRIBUTE = { name: "user.test", value: Buffer.from("an attribute") };
const MAP_BYTES = 2 ** 26;
const RECORDS_MAX = 1000;
const GARBAGE = bytesOf(7, 40);

/**
 * Leaves a clean cache: volume 1 has file 1, with an attribute, volume 2 file 2, with four blocks in slots 0 to 3; slot 4 is free. A
 * file system has a record of its own, and the ledger a pin and a note.
 */
export async function makeSound(directory: string): Promise<void> {
  template ??= makeTemplate();
  fs.cpSync(await template, directory, { recursive: true });
}

let template: Promise<string> | undefined;

/** Made once and copied: a copy takes a tenth of the time. */
async function makeTemplate(): Promise<string> {
  const place = fs.mkdtempSync(path.join(tmpdir(), "tagcache-sound-"));
  process.once("exit", () => fs.rmSync(place, { recursive: true, force: true }));
  const directory = path.join(place, "cache");
  const cache = await openAt(directory);
  const volume = await cache.acquireVolume("test", "handles");
  const cookie = await volume.acquireCookie("named", { sizeBytes: 10n });
  await cookie.metadata.setXattr(ATTRIBUTE);
  for (let block = 0; block <= BLOCKS; block += 1) await store(cache, tagOf(block), bytesOf(block, BYTES));
  await cache.invalidate({ fs: "apart" });
  await cache.remove(tagOf(BLOCKS));
  await cache.pin({ fs: "test", volume: "handles" });
  await cache.putNote("test", "note", Buffer.from("kept"));
  await cookie.relinquish();
  await cache.close();
  return directory;
}

/** Applies what one case says. */
export async function breakCache(directory: string, damage: readonly Damage[]): Promise<void> {
  for (const one of damage) {
    if ("file" in one) breakFile(directory, one.file, one);
    else if ("checkpoint" in one) changeCheckpoint(directory, one.checkpoint);
    else if ("signature" in one) writeSignature(directory, undefined, Buffer.from(one.signature, "hex"));
    else if ("mark" in one) await changeMark(directory, { state: one.mark });
    else if ("note" in one) await breakNote(directory);
    else if ("record" in one) await breakRecord(directory, one);
    else await changeIndex(directory, one);
  }
}

function breakFile(directory: string, name: string, damage: FileDamage): void {
  const file = path.join(directory, name);
  const aside = `${directory}-${path.basename(name)}`;
  switch (damage.do) {
    case "remove":
      return fs.rmSync(file, { recursive: true });
    case "truncate":
      return fs.truncateSync(file, damage.bytes);
    case "append":
      return fs.appendFileSync(file, Buffer.alloc(damage.bytes));
    case "garbage":
      return fs.writeFileSync(file, bytesOf(1, damage.bytes));
    case "flip": {
      const bytes = fs.readFileSync(file);
      bytes[damage.at] = (bytes[damage.at] as number) ^ 1;
      return fs.writeFileSync(file, bytes);
    }
    case "copy":
      return fs.copyFileSync(path.join(directory, damage.from), file);
    case "make":
      fs.mkdirSync(path.dirname(file), { recursive: true });
      return fs.writeFileSync(file, "");
    case "link":
      return fs.linkSync(file, aside);
    case "symlink":
      fs.renameSync(file, aside);
      return fs.symlinkSync(aside, file);
    case "directory":
      fs.rmSync(file);
      fs.mkdirSync(file);
      return;
    case "fifo":
      fs.rmSync(file);
      execFileSync("mkfifo", [file]);
  }
}

function changeCheckpoint(directory: string, change: Partial<Checkpoint>): void {
  const file = path.join(directory, "checkpoint");
  writeCheckpoint(file, { ...(readCheckpoint(file) as Checkpoint), ...change });
}

async function changeMark(directory: string, change: Partial<StateMark>): Promise<void> {
  const ledger = await Ledger.open({ directory: path.join(directory, "ledger") });
  await ledger.setMark({ ...ledger.mark, ...change });
  await ledger.close();
}

/** The last stop was at this commit, as far as anybody can tell. */
async function atCommit(directory: string, transactionId: number): Promise<void> {
  changeCheckpoint(directory, { transactionId });
  await changeMark(directory, { transactionId });
}

async function breakNote(directory: string): Promise<void> {
  const place = path.join(directory, "ledger");
  const tables = ["state", "pins", "notes"] as const;
  const options = { directory: place, regime: "durable", mapBytes: MAP_BYTES, tables } as const;
  const environment = Environment.open(options);
  const [found] = environment.scan("notes", {}, 1);
  await environment.commit([{ table: "notes", key: found?.key as Buffer, value: GARBAGE }]);
  await environment.close();
}

async function breakRecord(directory: string, { record, nth, do: what, late }: RecordDamage): Promise<void> {
  const place = path.join(directory, "index", "1");
  const options = { directory: place, regime: "durable", mapBytes: MAP_BYTES, tables: INDEX_TABLES } as const;
  const environment = Environment.open<IndexTable>(options);
  const records = environment.scan(record, {}, RECORDS_MAX);
  const key = records[nth % records.length]?.key;
  if (key !== undefined)
    await environment.commit([{ table: record, key, ...(what === "garbage" && { value: GARBAGE }) }]);
  const { transactionId } = environment.stats();
  await environment.close();
  if (late !== true) await atCommit(directory, transactionId);
}

async function changeIndex(
  directory: string,
  damage: Extract<Damage, { entry: number } | { object: object } | { metadata: object }>,
): Promise<void> {
  const { cacheId } = readSignature(directory) as { cacheId: Buffer };
  const options = { directory: path.join(directory, "index", "1"), mapBytes: MAP_BYTES, cacheId, epoch: 1 };
  const index = BlockIndex.open({ ...options, create: false });
  if ("object" in damage) {
    const { id, volumeId, inode } = damage.object;
    const rest = { coherency: Buffer.alloc(0), sizeBytes: 0n, stamp: 0 };
    index.names.putObject({ id, volumeId, inode: Buffer.from(inode), ...rest });
  } else if ("metadata" in damage) {
    const { objectId, sequence } = damage.metadata;
    const coherency = Buffer.alloc(0);
    index.metadata.put({ kind: "attributes", objectId, sequence, coherency, value: Buffer.alloc(4) });
  } else {
    const entries = [...index.entries()];
    const found = entries[damage.entry % entries.length];
    if (found !== undefined && damage.do === "remove") index.removeEntry(found.objectId, found.block);
    else if (found !== undefined)
      index.putEntry(found.objectId, found.block, { ...found.entry, ...damage.set });
  }
  await index.sync();
  const { transactionId } = index.stats();
  await index.close();
  await atCommit(directory, transactionId);
}
