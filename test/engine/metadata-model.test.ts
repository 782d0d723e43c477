/** The engine's metadata against the model's: the same calls, the same answers, with restarts in between. */
import assert from "node:assert/strict";
import { suite } from "uvu";
import type { FileMetadata } from "../../engine/api.js";
import { MemoryMetadata, MetadataModel } from "../model/memory-metadata.js";
import { openAt, randomOf, withPlace } from "../support/temp-cache.js";

const model = suite("metadata against the model");

const NAMES = ["a", "b", "b\0", "c", "dd", "e/f", "ü", "z"];
const VERSIONS = [undefined, undefined, undefined, Buffer.from("1"), Buffer.from("2")];
const STEPS = 400;
const SEEDS = [1, 2, 3, 4, 5, 6];

type Random = <T>(of: readonly T[]) => T;
/** A call, and its answer as far as both sides have to agree. `listing`: what this side calls the one the step is about. */
type Step = (on: FileMetadata, listing: number) => Promise<unknown>;

async function pages(on: FileMetadata, countMax: number, coherency?: Buffer): Promise<unknown> {
  const names: string[] = [];
  let complete = true;
  for (let after: Buffer | undefined, more = true; more;) {
    const page = await on.list({ countMax, ...(after && { after }), ...(coherency && { coherency }) });
    if (page.kind !== "listed") return page;
    for (const { name, inode } of page.entries) names.push(`${name.toString("hex")} ${inode.toString()}`);
    complete &&= page.complete;
    after = page.next;
    more = after !== undefined;
  }
  return { names, complete };
}

function stepOf(random: Random, number: number): { step: Step; begins?: true } {
  const name = random(NAMES);
  const coherency = random(VERSIONS);
  const nextCoherency = random([...VERSIONS, undefined, undefined]);
  const read = { ...(coherency && { coherency }) };
  const change = { ...read, ...(nextCoherency && { nextCoherency }) };
  const entries = [name, random(NAMES)].map((one) => ({ name: one, inode: `${number}` }));
  const value = Buffer.from(`${number}`);
  const countMax = random([1, 2, 3, 1024]);
  const group = random(["attributes", "xattrs", "directory"] as const);
  return random<{ step: Step; begins?: true }>([
    { step: (on) => on.putEntries(entries, change) },
    { step: (on) => on.putEntries(entries.slice(1)) },
    { step: (on, listing) => on.putEntries(entries, { listing }) },
    { step: (on, listing) => on.putEntries(entries, { ...change, listing }) },
    { step: (on) => on.removeEntry(name, change) },
    { step: (on) => on.removeEntry(name) },
    { step: (on) => on.putNegative(name, { ttlMs: 3_600_000 }) },
    { step: (on) => on.lookup(name, read) },
    { step: (on) => on.lookup(name) },
    { step: (on) => pages(on, countMax, coherency) },
    { step: (on) => on.beginListing(read), begins: true },
    { step: (on, listing) => on.completeListing(listing) },
    { step: (on, listing) => on.completeListing(listing) },
    { step: (on) => on.setXattr({ name, value }, change) },
    { step: (on) => on.removeXattr(name) },
    { step: (on) => on.replaceXattrs([{ name, value }], read) },
    { step: (on) => on.getXattr(name, read) },
    { step: (on) => on.listXattrs() },
    { step: (on) => on.setAttributes(value, read) },
    { step: (on) => on.getAttributes(read) },
    { step: (on) => on.drop(group) },
  ]);
}

for (const seed of SEEDS) {
  model(`answers as the model does, seed ${seed}`, async () => {
    await withPlace(async (directory) => {
      const next = randomOf(seed);
      const random: Random = (of) => of[Math.floor(next() * of.length)] as (typeof of)[number];
      const content = new MetadataModel();
      const wanted = new MemoryMetadata(content, async () => undefined);
      let cache = await openAt(directory);
      const open = async () => (await (await cache.acquireVolume("test", "v")).acquireCookie("d")).metadata;
      let found: FileMetadata = await open();
      let listings = { found: 0, wanted: 0 };
      for (let number = 0; number < STEPS; number += 1) {
        if (number % 97 === 96) {
          await cache.close();
          cache = await openAt(directory);
          found = await open();
          restart(content);
        }
        if (number % 5 === 0) await new Promise((resolve) => setTimeout(resolve, 1)); // some are committed, some not
        const { step, begins } = stepOf(random, number);
        if (begins === true) {
          const begin = async (on: FileMetadata) => ((await step(on, 0)) as { listing: number }).listing;
          listings = { found: await begin(found), wanted: await begin(wanted) };
          continue;
        }
        const answer = await step(found, listings.found);
        assert.deepEqual(answer, await step(wanted, listings.wanted), `step ${number}: ${step.toString()}`);
      }
      await cache.close();
    });
  });
}

/** A new session: negative entries have expired, and no listing is under way. */
function restart({ directory }: MetadataModel): void {
  if (directory === undefined) return;
  directory.listing = undefined;
  for (const [name, entry] of directory.items) if ("expiresMs" in entry) directory.items.delete(name);
}

model.run();
