import { readFileSync } from "node:fs";
import * as assert from "uvu/assert";
import { suite } from "uvu";
import { goldenFrames } from "./golden-frames.js";

const golden = suite("golden frames");

golden("are the bytes that other languages were written for", () => {
  const wanted: unknown = JSON.parse(readFileSync("fixtures/frames.json", "utf8"));
  assert.equal(
    goldenFrames(),
    wanted,
    "a frame has other bytes: raise the protocol version, keep the old one readable, and write the file anew",
  );
});

golden.run();
