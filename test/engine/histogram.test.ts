import assert from "node:assert/strict";
import { suite } from "uvu";
import { BOUNDS_MS, Histogram } from "../../engine/histogram.js";

const test = suite("histogram");

test("puts a duration into the first bucket whose bound it does not pass", () => {
  for (const [place, boundMs] of BOUNDS_MS.entries()) {
    const before = place === 0 ? 0 : (BOUNDS_MS[place - 1] as number);
    for (const ms of [boundMs, (boundMs + before) / 2, before * 1.0001]) {
      const histogram = new Histogram();
      histogram.record(ms);
      assert.equal(histogram.status().counts.indexOf(1), place, `${ms} ms, bound ${boundMs}`);
    }
  }
});

test("takes 0, and what is above all bounds in a last bucket", () => {
  const histogram = new Histogram();
  for (const ms of [0, 40_000, 1e12, Number.MAX_VALUE, Infinity]) histogram.record(ms);
  const { counts, count } = histogram.status();
  assert.equal(counts.length, BOUNDS_MS.length + 1);
  assert.equal(counts[0], 1);
  assert.equal(counts.at(-1), 4);
  assert.equal(count, 5);
});

test("keeps count and sum", () => {
  const histogram = new Histogram();
  for (const ms of [0.5, 1, 2.5]) histogram.record(ms);
  const status = histogram.status();
  assert.equal(status.count, 3);
  assert.equal(status.sumMs, 4);
  histogram.record(1);
  assert.equal(status.count, 3, "a status stays as it was");
});

test("takes no negative duration", () => {
  assert.throws(() => new Histogram().record(-1));
  assert.throws(() => new Histogram().record(Number.NaN));
});

test("has ascending bounds, each twice the last", () => {
  for (let place = 1; place < BOUNDS_MS.length; place += 1)
    assert.equal(BOUNDS_MS[place], (BOUNDS_MS[place - 1] as number) * 2);
});

test.run();
