import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { suite } from "uvu";
import { onlyLine, run, withDaemon, withDirectory } from "./run-cli.js";

const test = suite("tune");

const HEADER = "op,fs,volume,inode,offset_bytes,length_bytes\n";
/** 30 blocks in turn, three times; each is read twice in a row. */
const LOOP = Array.from(
  { length: 180 },
  (_, at) => `R,nfs,v,ab,${(Math.floor(at / 2) % 30) * 262144},1000\n`,
);

test("replays text, plain or gzip, over policies and sizes", async () => {
  await withDirectory(async (directory) => {
    const plain = join(directory, "loop.csv");
    const zipped = join(directory, "zip.csv.gz");
    writeFileSync(plain, HEADER + LOOP.join(""));
    writeFileSync(zipped, gzipSync(`${HEADER}W,nfs,v,ab,262143,2\r\nR,nfs,v,ab,0,0\r\nR,nfs,v,cd,0,1\r\n`));
    const args = ["tune", "--trace", plain, zipped, "--policy", "lru", "sieve", "--capacity", "50%,8MiB"];
    const json = JSON.parse((await run([...args, "--json"])).stdout);
    assert.equal(json.length, 8);
    assert.deepEqual(json[0], {
      trace: "loop",
      policy: "lru",
      capacityBlocks: 15,
      hits: 90,
      misses: 90,
      touches: 180,
      repeatTouches: 90,
      uniqueBlocks: 30,
      hitRatio: 0.5,
      hitRatioWithoutRepeats: 0,
      fetchedBytes: 90 * 262144,
    });
    assert.deepEqual([json[2].capacityBlocks, json[2].hits], [32, 150]);
    assert.deepEqual([json[6].trace, json[6].touches, json[6].uniqueBlocks, json[6].hits], ["zip", 4, 3, 1]);
    const { stdout, status } = await run(args);
    assert.equal(status, 0);
    assert.match(stdout, /loop: 180 touches of 30 blocks, 90 of the block just touched/);
    assert.match(stdout, /│ +32 │ sieve +│ +150 │ +30 │ +83\.33 % │ +66\.67 % │ +7\.5 MiB │/);
  });
});

test("draws the curve of LRU as figures and as SVG, exact or from a sample", async () => {
  await withDirectory(async (directory) => {
    const plain = join(directory, "loop.csv");
    writeFileSync(plain, LOOP.join(""));
    const curve = await run(["tune", "--trace", plain, "--curve", "--capacity", "15blocks", "100%"]);
    assert.equal(curve.stdout, "loop: misses of LRU, exact, of 180 touches\n15\t0.500000\n30\t0.166667\n");
    const sampled = await run(["tune", "--trace", plain, "--sample", "100%", "--json"]);
    const [{ exact, points }] = JSON.parse(sampled.stdout);
    assert.equal(exact, false);
    assert.ok(Math.abs(points.at(-1).missRatio - 1 / 6) < 0.01);
    const svg = join(directory, "curve.svg");
    assert.equal((await run(["tune", "--trace", plain, "--svg", svg])).status, 0);
    assert.match(readFileSync(svg, "utf8"), /^<svg [^]*<path [^]*loop[^]*<\/svg>\n$/);
  });
});

test("what is wrong is one line that says where, and a status", async () => {
  await withDirectory(async (directory) => {
    const file = (name: string, text: string | Buffer): string => {
      writeFileSync(join(directory, name), text);
      return join(directory, name);
    };
    const good = file("good.csv", LOOP.join(""));
    const cut = file("cut.csv.gz", gzipSync(HEADER + LOOP.join("")).subarray(0, 60));
    for (const [args, status, line] of [
      [["--policy", "lru"], 64, /Cannot use --policy without --trace/],
      [["--dir", directory], 69, /no daemon|not running|answers/i],
      [["--trace", join(directory, "none")], 66, /no such file/],
      [["--trace", file("empty.csv", HEADER)], 65, /empty\.csv: it has no accesses$/],
      [
        ["--trace", file("few.csv", `${HEADER}R,a,b\n`)],
        65,
        /few\.csv: line 2: 3 fields \("R,a,b"\), want 6/,
      ],
      [["--trace", file("op.csv", `${LOOP[0]}X,a,b,c,0,1\n`)], 65, /line 2: op "X", want R or W/],
      [["--trace", file("off.csv", "R,a,b,c,-1,1\n")], 65, /line 1: offset "-1", want a whole number/],
      [
        ["--trace", file("long.csv", "R,a,b,c,0,99999999999999\n")],
        65,
        /line 1: length .*at most 65536 blocks/,
      ],
      [["--trace", cut], 65, /cut\.csv\.gz: its gzip data is damaged/],
      [["--trace", good, "--policy", "mru"], 64, /policy "mru": want lru, fifo, sieve, s3fifo, adaptive$/],
      [["--trace", good, "--capacity", "0"], 64, /capacity "0": want room for a block/],
      [["--trace", good, "--capacity", "0blocks"], 64, /want room for a block/],
      [["--trace", good, "--capacity", "0%"], 64, /want a share above 0%/],
      [["--trace", good, "--capacity", "much"], 64, /want a size \(64MiB\), blocks/],
      [["--trace", good, "--sample", "2"], 64, /want more than 0, at most 1/],
    ] as const) {
      const finished = await run(["tune", ...args]);
      assert.equal(finished.status, status, `${args.join(" ")}: ${finished.stderr}`);
      assert.match(onlyLine(finished), line);
    }
  });
});

test("without a trace the running daemon is asked", async () => {
  await withDaemon(async (daemon) => {
    const tag = (block: number): string[] =>
      ["--fs", "f", "--volume", "v", "--inode", "i", "--block"].concat(String(block));
    for (const block of [0, 1]) await daemon.run(["put", ...tag(block)], { input: "some bytes" });
    for (const block of [0, 0, 1]) assert.equal((await daemon.run(["get", ...tag(block)])).status, 0);
    const advice = JSON.parse((await daemon.run(["tune", "--json"])).stdout);
    assert.deepEqual([advice.policy, advice.uses, advice.culled], ["lru", 5, 0]);
    assert.equal(advice.sampleRate, 1 / 32);
    assert.deepEqual(
      advice.sizes.map(
        ({ capacityBlocks }: { capacityBlocks: number }) => capacityBlocks / advice.capacityBlocks,
      ),
      [0.5, 1, 2],
    );
    assert.equal(advice.policies.length, 5);
    const { stdout, status } = await daemon.run(["tune"]);
    assert.equal(status, 0);
    assert.match(stdout, /^policy +lru\n/);
    assert.match(stdout, /watched +5 uses, by \d blocks, one in 32; too few yet to rely on/);
    assert.match(stdout, /double the capacity +\d+\.\d\d %/);
    assert.match(stdout, /culled +0, 0 of them never hit/);
  });
});

test.run();
