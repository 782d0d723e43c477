/** The soak in short, and that it would notice what it is there for. */
import assert from "node:assert/strict";
import { tmpdir } from "node:os";
import { suite } from "uvu";
import { roundsOf } from "../support/effort.js";
import { Board, wholeBlock } from "./board.js";
import { Checker, pagesOf } from "./pages.js";
import { reportLines } from "./report.js";
import { flatnessOf } from "./samples.js";
import { soak, withSoakPlace } from "./soak.js";
import { MIB } from "../support/temp-cache.js";

const short = suite("a short soak");

short("ends well: nothing wrong is read, and fsck is clean", async () => {
  const report = await withSoakPlace(tmpdir(), (place) =>
    soak({
      place,
      seconds: roundsOf(1),
      capacities: [8, 6, 10],
      clients: 2,
      sessions: 2,
      seed: 7,
      onProgress: () => undefined,
    }),
  );
  const text = [...reportLines(report)].join("\n");
  assert.deepEqual(report.failures, [], text);
  assert.match(text, /\nall well$/);
  assert.ok(report.tally.bytesChecked > MIB, text);
  assert.equal(report.sessions.at(-1)?.fsck, "clean");
});

short("notices older and newer versions, and other bytes", async () => {
  await withSoakPlace(tmpdir(), async (place) => {
    const board = new Board(place);
    const span = wholeBlock(1, 2, 3);
    board.set("begun", span, 7);
    board.set("floor", span, 5);
    const foundIn = (bytes: Buffer, least = board.least(span)): string[] => {
      const checker = new Checker(board);
      checker.check(span, bytes, least);
      return [...new Set(checker.wrong.map((line) => line.replace(/^client \d+ file \d+ page \d+: /, "")))];
    };
    assert.deepEqual(foundIn(pagesOf(span, 5)), []);
    assert.deepEqual(foundIn(pagesOf(span, 7)), []);
    assert.deepEqual(foundIn(pagesOf(span, 4)), ["version 4, which had gone: 5 is the least"]);
    assert.deepEqual(foundIn(pagesOf(span, 8)), ["version 8, which was not stored yet: 7 is the last"]);
    board.set("barred", span, 6);
    assert.deepEqual(foundIn(pagesOf(span, 5)), ["version 5, which had gone: 6 is the least"]);
    assert.match(foundIn(pagesOf(wholeBlock(1, 2, 4), 7))[0] ?? "", /^other bytes/);
    const flipped = pagesOf(span, 7);
    flipped.writeUInt8(flipped.readUInt8(100_000) ^ 1, 100_000);
    assert.equal(foundIn(flipped).length, 1);
    assert.match(foundIn(Buffer.alloc(100))[0] ?? "", /bytes$/);
    board.close();
  });
});

short("notices growth, and not the teeth of the collector's saw", () => {
  const samples = (of: (at: number) => number) =>
    Array.from({ length: 400 }, (_, at) => ({ rssAnonBytes: of(at) * MIB, descriptors: 100 }));
  assert.equal(
    flatnessOf(
      "",
      samples((at) => 100 + (at % 20) * 3),
    ).flat,
    true,
  );
  assert.equal(
    flatnessOf(
      "",
      samples((at) => 100 + at / 2),
    ).flat,
    false,
  );
  assert.equal(flatnessOf("", samples(() => 100).slice(0, 10)).flat, undefined);
  const leaking = samples(() => 100).map((sample, at) => ({
    ...sample,
    descriptors: 100 + at,
  }));
  assert.equal(flatnessOf("", leaking).flat, false);
});

short.run();
