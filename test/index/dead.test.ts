/** An environment whose meta pages could not be written refuses everything until it is opened again: LMDB's own rule. */
import assert from "node:assert/strict";
import { suite } from "uvu";
import { Environment, type Regime } from "../../index/environment.js";
import { Ledger } from "../../index/ledger.js";
import { descriptorsBelow, failSyncedWrites } from "../support/failing-sync.js";
import { cacheId, entryOf, openIndex, withCode, withDirectory } from "./support.js";

const dead = suite("a failed write of a meta page");
const IN_TIME_MS = 5000;

/** A call that has no end would hold the tests up. */
async function inTime<T>(call: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no end after ${IN_TIME_MS} ms`)), IN_TIME_MS);
  });
  return Promise.race([call, late]).finally(() => clearTimeout(timer));
}

function openEnvironment(directory: string, regime: Regime): Environment<"a"> {
  return Environment.open({ directory, regime, mapBytes: 2 ** 26, tables: ["a"] });
}

const write = (key: string, value: string) => ({
  table: "a" as const,
  key: Buffer.from(key),
  value: Buffer.from(value),
});
const text = (bytes: Buffer | undefined): string | undefined => bytes?.toString();

dead("a durable environment is opened again, and nothing that was durable is gone", async () => {
  await withDirectory(async (directory) => {
    const environment = openEnvironment(directory, "durable");
    const before = descriptorsBelow(directory).length;
    await environment.commit([write("kept", "1")]);
    for (let round = 0; round < 3; round += 1) {
      failSyncedWrites(directory);
      await assert.rejects(inTime(environment.commit([write("other", String(round))])), withCode("E_IO"));
      assert.equal(text(environment.get("a", Buffer.from("kept"))), "1");
      await inTime(environment.commit([write("other", "again")]));
      assert.equal(text(environment.get("a", Buffer.from("other"))), "again");
      assert.equal(environment.stats().records["a"], 2);
      assert.equal(descriptorsBelow(directory).length, before);
    }
    await environment.close();
    assert.equal(descriptorsBelow(directory).length, 0);
  });
});

dead("a ledger keeps its state, its pins and its notes, and takes changes again", async () => {
  await withDirectory(async (directory) => {
    const ledger = await Ledger.open({ directory, create: { cacheId } });
    const pin = { fs: Buffer.from("fs"), volume: Buffer.from("v"), scope: "volume", name: Buffer.alloc(0) };
    await ledger.pins.put({ ...pin, id: 1, epoch: 0, scope: "volume" });
    failSyncedWrites(directory);
    await assert.rejects(inTime(ledger.raiseEpoch()), withCode("E_IO"));
    assert.equal(ledger.epoch, 0);
    assert.equal(await inTime(ledger.raiseEpoch()), 1);
    await ledger.close();
    const again = await Ledger.open({ directory });
    assert.equal(again.epoch, 1);
    assert.equal(again.pins.all().length, 1);
    await again.close();
  });
});

dead("a recoverable environment is dead: no call waits, and its files are let go of", async () => {
  await withDirectory(async (directory) => {
    const environment = openEnvironment(directory, "recoverable");
    let deaths = 0;
    environment.watchDeath(() => (deaths += 1));
    await environment.commit([write("kept", "1")]);
    await environment.sync();
    failSyncedWrites(directory);
    await inTime(environment.commit([write("other", "1")])); // it is flushed behind its promise
    await assert.rejects(inTime(environment.sync()), withCode("E_IO"));
    assert.equal(deaths, 1);
    for (let round = 0; round < 3; round += 1) {
      await assert.rejects(inTime(environment.commit([write("other", "2")])), withCode("E_IO"));
      await assert.rejects(inTime(environment.sync()), withCode("E_IO"));
    }
    assert.throws(() => environment.get("a", Buffer.from("kept")), withCode("E_IO"));
    assert.throws(() => environment.peek("a", Buffer.from("kept")), withCode("E_IO"));
    assert.throws(() => environment.scan("a", {}, 10), withCode("E_IO"));
    assert.ok(environment.stats().fileBytes > 0);
    await inTime(environment.close());
    assert.equal(descriptorsBelow(directory).length, 0);
    const again = openEnvironment(directory, "recoverable");
    assert.equal(text(again.get("a", Buffer.from("kept"))), "1");
    await again.close();
  });
});

dead("an index says so once, whether it was idle or busy", async () => {
  for (const commitsBefore of [0, 1, 50]) {
    await withDirectory(async (directory) => {
      const index = openIndex(directory, { regime: "recoverable" });
      let deaths = 0;
      index.watchDeath(() => (deaths += 1));
      const commits: Promise<unknown>[] = [];
      const commit = (number: number): void => {
        index.putEntry(1, number, entryOf(number));
        commits.push(index.committed().catch(() => undefined));
      };
      for (let number = 0; number < commitsBefore; number += 1) commit(number);
      if (commitsBefore > 1) await commits[0];
      failSyncedWrites(directory);
      for (let number = 0; number < 50; number += 1) {
        commit(100 + number);
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      await inTime(Promise.all(commits));
      await assert.rejects(inTime(index.settled()), withCode("E_IO"));
      assert.equal(deaths, 1);
      await inTime(index.close().catch(() => undefined));
      assert.equal(descriptorsBelow(directory).length, 0);
    });
  }
});

dead.run();
