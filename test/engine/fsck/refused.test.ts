/** Directories that cannot be checked. */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { suite } from "uvu";
import { fsckDirectory } from "../../../engine/fsck/fsck.js";
import { bytesOf, openAt, withCache, withCode, withPlace } from "../../support/temp-cache.js";

const fsck = suite("fsck where there is nothing to check");

async function withClosed(body: (directory: string) => Promise<void>): Promise<void> {
  await withPlace(async (directory) => {
    await (await openAt(directory)).close();
    await body(directory);
  });
}

fsck("is refused while somebody owns the cache", async () => {
  await withCache({}, async (_, directory) => {
    await assert.rejects(fsckDirectory({ directory, deep: false }), withCode("E_BUSY"));
  });
});

fsck("is refused where there is no cache, and makes none", async () => {
  await withPlace(async (directory) => {
    await assert.rejects(fsckDirectory({ directory, deep: false }), withCode("E_NOT_OURS"));
    assert.equal(fs.existsSync(directory), false);
    fs.mkdirSync(directory);
    await assert.rejects(fsckDirectory({ directory, deep: false }), withCode("E_NOT_OURS"));
    assert.deepEqual(fs.readdirSync(directory), []);
  });
});

fsck("without the ledger says so, and makes none", async () => {
  await withClosed(async (directory) => {
    fs.rmSync(path.join(directory, "ledger"), { recursive: true });
    await assert.rejects(fsckDirectory({ directory, deep: false }), withCode("E_NOT_FOUND"));
    assert.equal(fs.existsSync(path.join(directory, "ledger")), false);
  });
});

fsck("with a ledger of garbage says so", async () => {
  await withClosed(async (directory) => {
    fs.writeFileSync(path.join(directory, "ledger", "data.mdb"), bytesOf(1, 20_000));
    await assert.rejects(fsckDirectory({ directory, deep: false }), withCode("E_LEDGER_CORRUPT"));
    await assert.rejects(openAt(directory), withCode("E_LEDGER_CORRUPT"));
  });
});

fsck("is refused where a directory of it is a link, or open to others", async () => {
  for (const name of ["", "index", "slots", "ledger"]) {
    await withClosed(async (directory) => {
      const place = path.join(directory, name);
      fs.renameSync(place, `${directory}-elsewhere`);
      fs.symlinkSync(`${directory}-elsewhere`, place);
      await assert.rejects(
        fsckDirectory({ directory, deep: false }),
        withCode("E_DIRECTORY", /symbolic link/),
      );
      fs.unlinkSync(place);
      fs.renameSync(`${directory}-elsewhere`, place);
      fs.chmodSync(place, 0o777);
      await assert.rejects(fsckDirectory({ directory, deep: false }), withCode("E_DIRECTORY", /chmod go-w/));
      assert.equal(fs.statSync(place).mode & 0o777, 0o777);
    });
  }
});

fsck.run();
