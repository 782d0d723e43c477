import assert from "node:assert/strict";
import { suite } from "uvu";
import { VolumeSeries } from "../../engine/daemon/volume-series.js";

const test = suite("series of volumes");

const counts = (hits: number) => ({ hits, misses: 0, puts: 0, bytesHit: hits * 10, bytesStored: 0 });
const status = (other: number, volumes: Record<string, number>) => ({
  volumes: Object.entries(volumes).map(([volume, hits]) => ({ fs: "f", volume, ...counts(hits) })),
  otherVolumes: counts(other),
});
const hitsOf = (series: ReadonlyArray<{ volume: string; hits: number }>) =>
  Object.fromEntries(series.map(({ volume, hits }) => [volume, hits]));

test("show at first what was counted before", () => {
  const series = new VolumeSeries();
  assert.deepEqual(hitsOf(series.update(status(5, { a: 3, b: 2 }))), { a: 3, b: 2, other: 5 });
});

test("grow with the volumes, and a new one counts whole while there were no others", () => {
  const series = new VolumeSeries();
  series.update(status(0, { a: 3 }));
  assert.deepEqual(hitsOf(series.update(status(0, { a: 4, b: 9 }))), { a: 4, b: 9, other: 0 });
});

test("a volume that comes among the busiest leaves behind what the others have shown already", () => {
  const series = new VolumeSeries();
  series.update(status(10, { a: 20 }));
  // b had at most 10 before; 2 of its 12 are new for certain.
  assert.deepEqual(hitsOf(series.update(status(4, { a: 20, b: 12 }))), { a: 20, b: 2, other: 14 });
  assert.deepEqual(hitsOf(series.update(status(4, { a: 21, b: 15 }))), { a: 21, b: 5, other: 14 });
});

test("a volume that falls behind takes nothing from the others", () => {
  const series = new VolumeSeries();
  series.update(status(0, { a: 20, b: 5 }));
  assert.deepEqual(hitsOf(series.update(status(5, { a: 21 }))), { a: 21, other: 0 });
  assert.deepEqual(hitsOf(series.update(status(7, { a: 21 }))), { a: 21, other: 2 });
});

test("a volume that left memory and came again goes on", () => {
  const series = new VolumeSeries();
  series.update(status(0, { a: 20 }));
  assert.deepEqual(hitsOf(series.update(status(22, { a: 3 }))), { a: 23, other: 2 });
});

test("never go back and lose no request, whatever happens", () => {
  let seed = 7;
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return Math.floor((seed / 2 ** 31) * below);
  };
  const loaded = new Map<string, number>();
  let gone = 0;
  let all = 0;
  const series = new VolumeSeries();
  const shown = new Map<string, number>();
  let vanished = 0;
  for (let round = 0; round < 2000; round += 1) {
    for (let turn = random(20); turn > 0; turn -= 1) {
      const name = `v${random(8)}`;
      loaded.set(name, (loaded.get(name) ?? 0) + 1);
      all += 1;
    }
    if (random(5) === 0) {
      const name = `v${random(8)}`;
      gone += loaded.get(name) ?? 0;
      loaded.delete(name);
    }
    const busiest = [...loaded].sort((a, b) => b[1] - a[1]);
    const rest = busiest.splice(3).reduce((sum, [, hits]) => sum + hits, gone);
    const now = hitsOf(series.update(status(rest, Object.fromEntries(busiest))));
    for (const [name, hits] of shown) {
      if (now[name] === undefined) {
        vanished += hits;
        shown.delete(name);
      } else assert.ok(now[name] >= hits, `${name} went from ${hits} to ${now[name]} in round ${round}`);
    }
    for (const [name, hits] of Object.entries(now)) shown.set(name, hits);
    const sum = [...shown.values()].reduce((total, hits) => total + hits, vanished);
    assert.equal(sum, all, `round ${round}`);
  }
});

test.run();
