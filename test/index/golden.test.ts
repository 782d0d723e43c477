import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { suite } from "uvu";
import { goldenCases } from "./golden-cases.js";
import { fixturePath } from "./support.js";

const golden = suite("index format");

golden("keeps every byte of keys, entries, records and the ledger", () => {
  const stored = JSON.parse(readFileSync(fixturePath("index-format.json"), "utf8")) as Record<string, string>;
  const made = goldenCases();
  assert.deepEqual(Object.keys(made), Object.keys(stored));
  for (const [name, hex] of Object.entries(stored)) {
    assert.equal(
      made[name],
      hex,
      `The ${name} has other bytes than the caches in use: raise FORMAT_VERSION (or LEDGER_VERSION and migrate), ` +
        "then write fixtures/index-format.json anew",
    );
  }
});

golden.run();
