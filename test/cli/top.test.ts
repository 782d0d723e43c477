/** `top`: what it shows, and that the terminal is as it was when it ends. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { suite } from "uvu";
import { type Look, ratesOf } from "../../cli/top/rates.js";
import { type View, plainLine, screenLines } from "../../cli/top/screen.js";
import type { CacheStatus } from "../../engine/cache.js";
import { until } from "../daemon/with-server.js";
import { MemoryCache } from "../model/memory-cache.js";
import { MAIN, onlyLine, run, start, startDaemon, withDaemon, withDirectory } from "./run-cli.js";

const test = suite("top");
/** A test that fails leaves none of them behind. */
const children = new Set<ChildProcess>();
test.after.each(() => {
  for (const child of children) child.kill("SIGKILL");
  children.clear();
});
const TAG = ["--fs", "f", "--volume", "v", "--inode", "i", "--block", "0"];

async function looks(): Promise<[Look, Look]> {
  const cache = new MemoryCache();
  const tag = { fs: "nfs", volume: "home", inode: "i", block: 0 };
  await cache.put(tag, Buffer.alloc(262_144));
  await cache.get(tag);
  const one = structuredClone(await cache.status()); // its volumes go on counting
  for (let count = 0; count < 3; count += 1) await cache.get(tag);
  await cache.get({ ...tag, block: 1 });
  await cache.put({ ...tag, volume: "文書" }, Buffer.alloc(1));
  return [
    { status: one, atMs: 1000 },
    { status: await cache.status(), atMs: 3000 },
  ];
}

function viewOf(part: Partial<View>): View {
  return { history: [], time: new Date(0), unicode: true, everySeconds: 1, ...part };
}

test("rates are of the time between two looks", async () => {
  const [one, two] = await looks();
  const rates = ratesOf(one, two) ?? assert.fail();
  assert.deepEqual([rates.hits, rates.misses, rates.puts, rates.hitRatio], [1.5, 0.5, 0.5, 0.75]);
  assert.deepEqual(
    rates.volumes.map(({ volume, hits, misses, puts }) => [volume, hits, misses, puts]),
    [
      ["home", 1.5, 0.5, 0],
      ["文書", 0, 0, 0.5],
    ],
  );
  const anew: CacheStatus = { ...two.status, pid: 1 };
  assert.equal(ratesOf(one, { status: anew, atMs: 3000 }), undefined);
});

test("fits every size, and 24 lines of 80 columns hold all of it", async () => {
  const [one, two] = await looks();
  const rates = ratesOf(one, two) ?? assert.fail();
  const view = viewOf({ status: two.status, rates, history: [0.1, undefined, 0.5, 1] });
  const lines = screenLines(view, 80, 24);
  assert.equal(lines.length, 24);
  for (const word of ["state", "hits", "reads", "writes", "space", "headroom", "culler", "drive"]) {
    assert.ok(
      lines.some((line) => line.startsWith(word.padEnd(10))),
      word,
    );
  }
  assert.match(
    lines.join("\n"),
    /^hits +75\.0 % now, 80\.0 % since the start \(4 hits, 1 misses\)\n +▁ ▅█\n/m,
  );
  assert.match(lines.join("\n"), /^ +1\.5 +0\.5 +0 +384\.0 KiB +- {2}nfs home$/m);
  assert.equal(lines.at(-1), "q quits; every 1 s");
  for (const [columns, rows] of [
    [80, 24],
    [200, 60],
    [40, 10],
    [1, 1],
  ] as const) {
    const some = screenLines(view, columns, rows);
    assert.ok(some.length <= rows, `${some.length} of ${rows} lines`);
    for (const line of some) assert.ok(Array.from(line).length <= columns, `${columns}: ${line}`);
  }
  assert.deepEqual(screenLines(viewOf({ trouble: "no daemon answers" }), 80, 24).slice(1), [
    "no daemon answers",
    "q quits; every 1 s",
  ]);
  assert.match(
    plainLine(view),
    /^1970-01-01T00:00:00Z hits 75\.0 % 1\.5\/s misses 0\.5\/s puts 0\.5\/s read /,
  );
});

test("prints a line each time off a terminal, and goes on when the daemon is started anew", async () => {
  await withDirectory(async (directory) => {
    const cache = join(directory, "cache");
    const daemon = await startDaemon(cache);
    children.add(daemon.child);
    const top = start(["top", "--interval", "0.2", "--dir", cache]);
    children.add(top);
    let text = "";
    top.stdout.on("data", (bytes: Buffer) => (text += bytes.toString()));
    await until(async () => {
      await daemon.run(["get", ...TAG]);
      return /^\S+Z hits 0\.0 % [\d.]+\/s misses [\d.]+\/s puts 0\/s .* drive ok$/m.test(text);
    });
    await daemon.run(["stop"]);
    await until(() => /Z no daemon answers$/m.test(text));
    const next = await startDaemon(cache);
    children.add(next.child);
    await until(() => text.includes(`Z started, pid ${next.child.pid}\n`), 10_000);
    await until(() => /started, pid \d+\n\S+Z hits - 0\/s/.test(text));
    top.kill("SIGTERM");
    assert.deepEqual(await once(top, "exit"), [0, null]);
    assert.ok(!text.includes("\u001B"), "no control sequences");
    const counted = await next.run(["top", "--interval", "0.1", "--count", "2"]);
    assert.equal(counted.status, 0, counted.stderr);
    assert.equal(counted.stdout.trimEnd().split("\n").length, 2);
    await next.run(["stop"]);
  });
});

/** Runs `top` on a terminal of 80 columns and 24 lines, between two looks at how that is set. */
function onTerminal(directory: string) {
  const command =
    `stty rows 24 cols 80; stty -g; ` +
    `sh -c 'echo pid=$$; exec "${process.execPath}" "${MAIN}" top --interval 0.2 --dir "${directory}"'; ` +
    `echo status=$?; stty -g`;
  const env = {
    ...process.env,
    TERM: "xterm",
    LANG: "C.UTF-8",
    SHELL: "/bin/sh",
    TAGCACHE_CONFIG: "/dev/null",
  };
  const script = spawn("script", ["-qec", command, "/dev/null"], { env, stdio: ["pipe", "pipe", "pipe"] });
  children.add(script);
  const shown = { text: "" };
  script.stdout.on("data", (bytes: Buffer) => (shown.text += bytes.toString()));
  return { script, shown, pid: () => Number(/pid=(\d+)/.exec(shown.text)?.[1]) };
}

const ends: readonly [string, (top: ReturnType<typeof onTerminal>) => void][] = [
  ["q", ({ script }) => script.stdin.write("q")],
  ["Ctrl-C", ({ script }) => script.stdin.write("\u0003")],
  ["SIGTERM", ({ pid }) => process.kill(pid(), "SIGTERM")],
];

test("draws on a terminal, follows its size, and gives it back on q, Ctrl-C and SIGTERM", async () => {
  await withDaemon(async (daemon) => {
    for (const [name, end] of ends) {
      const top = onTerminal(daemon.directory);
      const { script, shown } = top;
      const exited = once(script, "exit");
      await until(() => shown.text.includes("busiest volumes") && shown.text.includes("0/s puts"), 20_000);
      assert.ok(shown.text.includes("\u001B[?1049h"), "it has a screen of its own");
      end(top);
      assert.deepEqual(await exited, [0, null], name);
      const after = shown.text.slice(shown.text.lastIndexOf("\u001B[?1049l"));
      assert.match(after, /status=0\r?\n/, name);
      assert.equal(shown.text.split("\u001B[?25h").length, 2, "the cursor is back, once");
      const settings = shown.text.match(/^[0-9a-f]+(?::[0-9a-f]+){10,}/gm) ?? [];
      assert.equal(settings.length, 2, shown.text);
      assert.equal(settings[0], settings[1], `${name}: the terminal is set as before`);
    }
  });
});

test("the line for wrong use, and for no daemon at the start", async () => {
  await withDirectory(async (directory) => {
    for (const [args, status, line] of [
      [["--interval", "0"], 64, /Cannot use --interval "0": want a number from 0\.1 to 3600$/],
      [["--interval", "often"], 64, /Cannot use --interval "often"/],
      [["--count", "0"], 64, /Cannot use --count "0"/],
      [[], 69, /No daemon answers on .*tagcache serve/],
    ] as const) {
      const finished = await run(["top", ...args, "--dir", directory]);
      assert.match(onlyLine(finished), line);
      assert.equal(finished.status, status);
    }
  });
});

test.run();
