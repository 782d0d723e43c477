/** `tagcache top`: what the daemon does, now and again. */
import type { Command } from "commander";
import { isCacheError } from "../../index/core/errors.js";
import type { CacheClient } from "../../engine/daemon/client.js";
import { withDaemon } from "../daemon.js";
import { example } from "../example.js";
import { CliError, EXIT } from "../exit-codes.js";
import { print } from "../output.js";
import { settingsOf } from "../settings.js";
import { type Look, ratesOf } from "../top/rates.js";
import { HISTORY_MAX, type View, plainLine, screenLines } from "../top/screen.js";
import { Terminal } from "../top/terminal.js";

const SECONDS_MIN = 0.1;
const SECONDS_MAX = 3600;
const COUNT_MAX = 1e9;

interface TopOptions {
  readonly interval: string;
  readonly count?: string;
  readonly plain?: true;
}

/** Adds the command. Exit status: 0 quit, 69 no daemon at the start. */
export function addTop(program: Command): void {
  program
    .command("top")
    .description(
      "watch hit ratio, rates, space, headroom, culler and the busiest volumes; q, Ctrl-C or a signal ends it. Off a terminal " +
        "it prints a line each time. It waits for a daemon that is started anew",
    )
    .option("--interval <seconds>", "time between two looks", "1")
    .option("--count <number>", "end after so many")
    .option("--plain", "lines, on a terminal too")
    .addHelpText("after", example("tagcache top --interval 10 >> cache.log", "a line every ten seconds"))
    .action(async (options: TopOptions, command: Command) => {
      const everySeconds = numberOf("--interval", options.interval, SECONDS_MIN, SECONDS_MAX);
      const count = options.count === undefined ? Infinity : numberOf("--count", options.count, 1, COUNT_MAX);
      const draws = process.stdout.isTTY && process.env["TERM"] !== "dumb" && options.plain !== true;
      const watch = new Watch({ everySeconds, count, draws });
      await withDaemon(settingsOf(command), (client) => watch.run(client), {
        deadlineMs: deadlineOf(everySeconds),
      });
      process.exitCode = EXIT.ok;
    });
}

/** An answer that is later than the next look is none. */
function deadlineOf(everySeconds: number): number {
  return Math.min(5000, Math.max(500, everySeconds * 1000));
}

/** @throws {CliError} 64. */
function numberOf(name: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (/^\d+(?:\.\d+)?$/.test(text) && value >= min && value <= max) return value;
  throw new CliError(
    EXIT.usage,
    `Cannot use ${name} ${JSON.stringify(text)}: want a number from ${min} to ${max}`,
  );
}

interface WatchOptions {
  readonly everySeconds: number;
  readonly count: number;
  readonly draws: boolean;
}

class Watch {
  readonly #options: WatchOptions;
  #last: Look | undefined;
  #history: (number | undefined)[] = [];
  #view: View;
  #terminal: Terminal | undefined;
  #quit: () => void = () => undefined;
  readonly #quitting = new Promise<"quit">((resolve) => {
    this.#quit = () => resolve("quit");
  });

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#view = this.#viewOf({});
  }

  /** Looks again and again until somebody quits, or often enough. */
  async run(client: CacheClient): Promise<void> {
    const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
    for (const signal of signals) process.on(signal, this.#quit);
    if (this.#options.draws) {
      this.#terminal = new Terminal({ onQuit: this.#quit, onRedraw: () => this.#draw() });
      this.#terminal.open();
    }
    try {
      await this.#watch(client);
    } finally {
      this.#terminal?.close();
      for (const signal of signals) process.off(signal, this.#quit);
    }
  }

  async #watch(client: CacheClient): Promise<void> {
    const everyMs = this.#options.everySeconds * 1000;
    const beganMs = performance.now();
    await this.#look(client);
    this.#draw();
    for (let looks = 1; looks <= this.#options.count; looks += 1) {
      const waitMs = Math.max(0, beganMs + looks * everyMs - performance.now());
      if ((await Promise.race([this.#quitting, passed(waitMs)])) === "quit") return;
      if ((await Promise.race([this.#quitting, this.#look(client)])) === "quit") return;
      this.#draw();
      if (this.#terminal === undefined) print(plainLine(this.#view));
    }
  }

  async #look(client: CacheClient): Promise<void> {
    try {
      const look = { status: await client.status(), atMs: performance.now() };
      const rates = this.#last && ratesOf(this.#last, look);
      if (this.#last !== undefined) this.#history = [...this.#history, rates?.hitRatio].slice(-HISTORY_MAX);
      this.#last = look;
      this.#view = this.#viewOf({ status: look.status, ...(rates !== undefined && { rates }) });
    } catch (error) {
      if (!isCacheError(error)) throw error;
      const trouble = error.code === "E_TIMEOUT" ? "the daemon does not answer" : "no daemon answers";
      const status = this.#last?.status;
      this.#view = this.#viewOf({ trouble, ...(status !== undefined && { status }) });
    }
  }

  #viewOf(part: Pick<View, "status" | "rates" | "trouble">): View {
    const { everySeconds } = this.#options;
    return { ...part, history: this.#history, time: new Date(), unicode: hasUnicode(), everySeconds };
  }

  #draw(): void {
    const terminal = this.#terminal;
    terminal?.draw(screenLines(this.#view, terminal.columns, terminal.rows));
  }
}

function passed(ms: number): Promise<"passed"> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms, "passed" as const);
  });
}

/** By the locale, as every program tells. */
function hasUnicode(): boolean {
  const { LC_ALL, LC_CTYPE, LANG } = process.env;
  return /utf-?8/i.test(LC_ALL || LC_CTYPE || LANG || "");
}
