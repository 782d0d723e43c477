import assert from "node:assert/strict";
import { closeSync, fstatSync, openSync } from "node:fs";
import { suite } from "uvu";
import type { CliLogger, LogOptions } from "../../cli/log.js";
import { REPEAT_MS, createLogger, isJournald } from "../../cli/log.js";

const test = suite("log");
const START = Date.UTC(2026, 0, 2, 3, 4, 5, 6);

function capture(options: Partial<LogOptions> = {}): {
  log: CliLogger;
  lines: string[];
  clock: { ms: number };
} {
  const lines: string[] = [];
  const clock = { ms: START };
  const log = createLogger({
    level: "debug",
    format: "text",
    journald: false,
    write: (line) => lines.push(line),
    nowMs: () => clock.ms,
    ...options,
  });
  return { log, lines, clock };
}

test("writes time, level, message and fields in one line", () => {
  const { log, lines } = capture();
  log.info("started", {
    kind: "new",
    ms: 12,
    empty: "",
    text: 'a "b" c',
    path: Buffer.from([0xff]),
    big: 2n ** 60n,
  });
  assert.deepEqual(lines, [
    '2026-01-02T03:04:05.006Z info started kind=new ms=12 empty="" text="a \\"b\\" c" path=hex:ff big=1152921504606846976\n',
  ]);
});

test("keeps an event on one line, whatever it says", () => {
  const { log, lines } = capture();
  log.error("first\n  second", { value: "x\ny" });
  assert.deepEqual(lines, ['2026-01-02T03:04:05.006Z error first second value="x\\ny"\n']);
});

test("writes JSON that fields cannot disguise", () => {
  const { log, lines } = capture({ format: "json" });
  log.warn("odd", { level: "info", count: 3, nothing: undefined });
  assert.deepEqual(JSON.parse(lines[0] ?? ""), {
    time: "2026-01-02T03:04:05.006Z",
    level: "warn",
    message: "odd",
    count: 3,
    nothing: null,
  });
});

test("under journald a line has a priority and no time", () => {
  const { log, lines } = capture({ journald: true });
  log.error("a");
  log.warn("b");
  log.info("c", { x: 1 });
  log.debug("d");
  assert.deepEqual(lines, ["<3>a\n", "<4>b\n", "<6>c x=1\n", "<7>d\n"]);
});

test("drops what is below its level", () => {
  const { log, lines } = capture({ level: "warn" });
  log.info("no");
  log.debug("no");
  log.warn("yes");
  log.error("yes");
  assert.equal(lines.length, 2);
});

test("writes the same message once in ten seconds, then how often it came", () => {
  const { log, lines, clock } = capture();
  for (let i = 0; i < 5; i += 1) log.info("refused", { connection: i });
  log.info("something else");
  assert.equal(lines.length, 2);
  clock.ms += REPEAT_MS - 1;
  log.info("refused");
  assert.equal(lines.length, 2);
  clock.ms += 1;
  log.info("refused", { connection: 9 });
  assert.deepEqual(
    lines.slice(2).map((line) => line.slice(line.indexOf(" ") + 1)),
    ["info refused repeated=5\n", "info refused connection=9\n"],
  );
});

test("tells the count when the message has stopped coming", () => {
  const { log, lines, clock } = capture();
  log.warn("slow");
  log.warn("slow");
  log.flush();
  assert.equal(lines.length, 1, "not yet due");
  clock.ms += REPEAT_MS;
  log.flush();
  assert.match(lines[1] ?? "", /warn slow repeated=1$/m);
  log.flush();
  assert.equal(lines.length, 2);
});

test("tells all counts at the end", () => {
  const { log, lines } = capture();
  log.warn("slow");
  log.warn("slow");
  log.flush({ all: true });
  assert.match(lines[1] ?? "", /warn slow repeated=1$/m);
});

test("the same words at another level are another message", () => {
  const { log, lines } = capture();
  log.warn("same");
  log.error("same");
  assert.equal(lines.length, 2);
});

test("remembers a bounded number of messages and loses no count", () => {
  const { log, lines } = capture();
  log.info("first");
  log.info("first");
  for (let i = 0; i < 300; i += 1) log.info(`message ${i}`);
  assert.equal(lines.filter((line) => line.includes("first repeated=1")).length, 1);
  assert.equal(lines.length, 302);
});

test("knows journald by the device and inode of the stream", () => {
  const descriptor = openSync("/dev/null", "w");
  const { dev, ino } = fstatSync(descriptor);
  assert.equal(isJournald(`${dev}:${ino}`, descriptor), true);
  assert.equal(isJournald(`${dev}:${ino + 1}`, descriptor), false);
  assert.equal(isJournald(undefined, descriptor), false);
  closeSync(descriptor);
});

test.run();
