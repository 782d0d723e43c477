import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import { Environment } from "../../index/environment.js";
import { encodeLedgerState } from "../../index/ledger-state.js";
import type { StateMark } from "../../index/ledger-state.js";
import { decodePin, encodePin } from "../../index/ledger-pins.js";
import { Ledger } from "../../index/ledger.js";
import { sealed } from "../../index/sealed-store.js";
import { cacheId, siblingScript, withCode, withDirectory } from "./support.js";

const ledger = suite("ledger");
const clean: StateMark = {
  state: "clean",
  regime: "volatile",
  bootId: "b",
  transactionId: 3,
  checkpointId: 4,
};

ledger("starts at epoch 0, unclean, and keeps what is set", async () => {
  await withDirectory(async (directory) => {
    assert.equal(Ledger.exists(directory), false);
    const made = await Ledger.open({ directory, create: { cacheId } });
    assert.equal(Ledger.exists(directory), true);
    assert.equal(made.epoch, 0);
    assert.equal(made.mark.state, "unclean");
    assert.equal(await made.raiseEpoch(), 1);
    await made.setMark(clean);
    assert.equal(made.epoch, 1);
    await made.setMark(clean, { epoch: 9 });
    assert.ok(made.fileBytes() > 0);
    await made.close();
    const opened = await Ledger.open({ directory });
    assert.deepEqual(opened.cacheId, cacheId);
    assert.equal(opened.epoch, 9);
    assert.deepEqual(opened.mark, clean);
    await opened.close();
  });
});

ledger("orders changes made at once", async () => {
  await withDirectory(async (directory) => {
    const opened = await Ledger.open({ directory, create: { cacheId } });
    const epochs = await Promise.all([opened.raiseEpoch(), opened.raiseEpoch(), opened.raiseEpoch()]);
    assert.deepEqual(epochs, [1, 2, 3]);
    await assert.rejects(opened.setMark(clean, { epoch: 2 }), withCode("E_ARGUMENT"));
    assert.equal(await opened.raiseEpoch(), 4);
    await opened.close();
  });
});

ledger("that is there is opened as it is, whoever wants to make one", async () => {
  await withDirectory(async (directory) => {
    await (await Ledger.open({ directory, create: { cacheId } })).close();
    const opened = await Ledger.open({ directory, create: { cacheId: Buffer.alloc(16) } });
    assert.deepEqual(opened.cacheId, cacheId);
    await opened.close();
  });
});

const pinKey = Buffer.of(0, 0, 0, 0, 0, 0, 0, 1);
const pin = {
  id: 1,
  fs: Buffer.from("nfs"),
  volume: Buffer.of(0, 255),
  scope: "tree",
  name: Buffer.from("a/"),
  epoch: 3,
} as const;

ledger("keeps pins in their order, and one of an older program gets their table", async () => {
  await withDirectory(async (directory) => {
    const old = Environment.open({
      directory,
      regime: "durable",
      mapBytes: 1024 * 1024,
      tables: ["state"] as const,
    });
    const mark = { ...clean, state: "clean" } as const;
    // Version 1 had no checksums.
    const value = encodeLedgerState({ cacheId, epoch: 4, mark });
    value[0] = 1;
    await old.commit([{ table: "state", key: Buffer.from("state"), value }]);
    await old.close();
    const opened = await Ledger.open({ directory });
    assert.equal(opened.epoch, 4);
    assert.deepEqual(opened.pins.all(), []);
    const volume = { ...pin, id: 300, scope: "volume", name: Buffer.alloc(0) } as const;
    await Promise.all([opened.pins.put(volume), opened.pins.put(pin), opened.raiseEpoch()]);
    for (let id = 1000; id < 1300; id += 1) await opened.pins.put({ ...pin, id });
    await opened.pins.remove(Array.from({ length: 300 }, (_, i) => 1000 + i));
    await opened.pins.put({ ...pin, epoch: 5 });
    await opened.close();
    const again = await Ledger.open({ directory });
    assert.deepEqual(again.pins.all(), [{ ...pin, epoch: 5 }, volume]);
    assert.equal(again.epoch, 5);
    await again.close();
    assert.throws(() => again.pins, withCode("E_CLOSED"));
  });
});

ledger("whose pins do not read back is refused, and what is new in a record stays", async () => {
  const value = encodePin(pin);
  const wrong = [
    Buffer.alloc(0),
    Buffer.of(9),
    value.subarray(0, 5),
    encodePin({ ...pin, extra: [1] }).fill(0xc1, 1),
  ];
  for (const bad of wrong) assert.throws(() => decodePin(pinKey, bad), withCode("E_INDEX_CORRUPT"));
  assert.throws(() => decodePin(Buffer.of(1), value), withCode("E_INDEX_CORRUPT"));
  const scope = Buffer.from(value);
  scope[scope.indexOf(Buffer.of(0xc4, 2, 0, 255)) + 4] = 7;
  assert.throws(() => decodePin(pinKey, scope), withCode("E_INDEX_CORRUPT"));
  const later = { ...pin, extra: ["later"] };
  assert.deepEqual(decodePin(pinKey, encodePin(later)), later);
  await withDirectory(async (directory) => {
    await (await Ledger.open({ directory, create: { cacheId } })).close();
    const tables = ["state", "pins"] as const;
    const written = Environment.open({ directory, regime: "durable", mapBytes: 1024 * 1024, tables });
    await written.commit([{ table: "pins", key: pinKey, value: Buffer.of(9) }]);
    await written.close();
    await assert.rejects(Ledger.open({ directory }), withCode("E_LEDGER_CORRUPT"));
  });
});

ledger("that is missing gives E_NOT_FOUND, and nothing is made", async () => {
  await withDirectory(async (directory) => {
    const below = join(directory, "ledger");
    await assert.rejects(Ledger.open({ directory: below }), withCode("E_NOT_FOUND"));
    assert.equal(Ledger.exists(below), false);
  });
});

ledger("of a newer version is refused with both versions named", async () => {
  await withDirectory(async (directory) => {
    await putState(directory, Buffer.from([7, 0xc0]));
    await assert.rejects(Ledger.open({ directory }), (error: unknown) => {
      assert.ok(withCode("E_FORMAT_VERSION")(error));
      assert.match(String(error), /version 7.*knows 2/);
      return true;
    });
  });
});

ledger("that does not read back gives E_LEDGER_CORRUPT with what to do", async () => {
  const whole = encodeLedgerState({ cacheId, epoch: 1, mark: clean });
  for (const length of [1, 5, whole.length - 1]) {
    await withDirectory(async (directory) => {
      await putState(directory, whole.subarray(0, length));
      await assert.rejects(Ledger.open({ directory }), withCode("E_LEDGER_CORRUPT"));
    });
  }
  await withDirectory(async (directory) => {
    writeFileSync(join(directory, "data.mdb"), Buffer.alloc(20_000, 3));
    await assert.rejects(Ledger.open({ directory }), (error: unknown) => {
      assert.ok(withCode("E_LEDGER_CORRUPT")(error));
      assert.match(String(error), /move .* away/);
      return true;
    });
  });
  await withDirectory(async (directory) => {
    writeFileSync(join(directory, "data.mdb"), "");
    await assert.rejects(Ledger.open({ directory }), withCode("E_LEDGER_CORRUPT"));
    const made = await Ledger.open({ directory, create: { cacheId } }); // a creation cut short may be repeated
    await made.close();
  });
});

ledger("keeps an awaited mark when its process is killed right after", async () => {
  for (let round = 0; round < 3; round++) {
    await withDirectory(async (directory) => {
      await (await Ledger.open({ directory, create: { cacheId } })).close();
      const script = siblingScript(import.meta.url, "ledger-child");
      const child = spawn(process.execPath, [...process.execArgv, script, directory], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      let output = "";
      const killedAt = 5 + round * 7;
      await new Promise<void>((resolve) => {
        child.on("exit", () => resolve());
        child.stdout.on("data", (bytes: Buffer) => {
          output += bytes.toString();
          if (output.split("\n").length > killedAt) child.kill("SIGKILL");
        });
      });
      const acknowledged = Number(output.split("\n").at(-2));
      assert.ok(acknowledged >= killedAt - 1);
      const opened = await Ledger.open({ directory });
      assert.ok(opened.epoch >= acknowledged, `epoch ${opened.epoch}, acknowledged ${acknowledged}`);
      assert.equal(opened.mark.transactionId, opened.epoch);
      await opened.close();
    });
  }
});

ledger("ends every method with E_CLOSED after close", async () => {
  await withDirectory(async (directory) => {
    const opened = await Ledger.open({ directory, create: { cacheId } });
    await opened.close();
    await opened.close();
    const calls = [() => opened.cacheId, () => opened.epoch, () => opened.mark, () => opened.fileBytes()];
    for (const call of calls) assert.throws(call, withCode("E_CLOSED"));
    await assert.rejects(opened.setMark(clean), withCode("E_CLOSED"));
    await assert.rejects(opened.raiseEpoch(), withCode("E_CLOSED"));
  });
});

async function putState(directory: string, value: Buffer): Promise<void> {
  const environment = Environment.open({
    directory,
    regime: "durable",
    mapBytes: 2 ** 20,
    tables: ["state"],
  });
  const key = Buffer.from("state");
  await environment.commit([{ table: "state", key, value: sealed("state", key, value) }]);
  await environment.close();
}

ledger.run();
