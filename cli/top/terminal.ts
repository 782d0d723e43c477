/** The terminal as a screen to draw on: taken over as a whole, and given back as it was however this ends. */

/** Control sequences of every terminal since the VT100, and its alternate screen from xterm. */
const ENTER = "\u001B[?1049h\u001B[?25l\u001B[?7l";
const LEAVE = "\u001B[?7h\u001B[?25h\u001B[?1049l";
const HOME = "\u001B[H";
const CLEAR_LINE = "\u001B[K";
const CLEAR_BELOW = "\u001B[J";
const DEFAULT_COLUMNS = 80;
const DEFAULT_ROWS = 24;

const CTRL_C = "\u0003";
const CTRL_D = "\u0004";
const CTRL_L = "\u000C";
const CTRL_Z = "\u001A";

export interface TerminalEvents {
  /** q, Ctrl-C, Ctrl-D, or the terminal has gone. */
  readonly onQuit: () => void;
  /** The size is another, or everything is to be drawn anew. */
  readonly onRedraw: () => void;
}

export class Terminal {
  readonly #events: TerminalEvents;
  #entered = false;

  constructor(events: TerminalEvents) {
    this.#events = events;
  }

  get columns(): number {
    return process.stdout.columns || DEFAULT_COLUMNS;
  }

  get rows(): number {
    return process.stdout.rows || DEFAULT_ROWS;
  }

  open(): void {
    process.stdout.on("resize", this.#events.onRedraw);
    process.on("SIGCONT", this.#resume);
    // Whatever ends the process, a bug too, the terminal is given back.
    process.on("exit", this.#leave);
    if (process.stdin.isTTY) {
      process.stdin.setEncoding("utf8").on("data", this.#onKeys).on("end", this.#events.onQuit);
    }
    this.#enter();
  }

  draw(lines: readonly string[]): void {
    if (!this.#entered) return;
    // Cleared before and not behind the text, which may reach the last column.
    const text = lines.map((line) => CLEAR_LINE + line).join("\r\n");
    const { rows } = this;
    process.stdout.write(`${HOME}${text}${lines.length < rows ? `\r\n${CLEAR_BELOW}` : ""}`);
  }

  close(): void {
    process.stdout.off("resize", this.#events.onRedraw);
    process.off("SIGCONT", this.#resume);
    process.off("exit", this.#leave);
    if (process.stdin.isTTY) process.stdin.off("data", this.#onKeys).off("end", this.#events.onQuit).pause();
    this.#leave();
  }

  #enter(): void {
    if (process.stdin.isTTY) process.stdin.setRawMode(true);
    process.stdout.write(ENTER);
    this.#entered = true;
  }

  readonly #leave = (): void => {
    if (!this.#entered) return;
    this.#entered = false;
    if (process.stdin.isTTY) process.stdin.setRawMode(false);
    process.stdout.write(LEAVE);
  };

  readonly #resume = (): void => {
    this.#leave();
    this.#enter();
    this.#events.onRedraw();
  };

  readonly #onKeys = (keys: string): void => {
    for (const key of keys) {
      if (key === "q" || key === "Q" || key === CTRL_C || key === CTRL_D) this.#events.onQuit();
      else if (key === CTRL_L) this.#events.onRedraw();
      else if (key === CTRL_Z) this.#suspend();
    }
  };

  /** As the terminal would have done it; SIGCONT goes on. */
  #suspend(): void {
    this.#leave();
    process.kill(process.pid, "SIGSTOP");
  }
}
