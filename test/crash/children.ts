/** Child processes of the crash tests: started here, spoken to over IPC, and ended here by their own pid. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const KILL_WAIT_MS = 20_000;

/** Where a program of this project lies, and the flags to run it with: from its source, or from dist/, as this file is. */
export function program(place: string): { readonly script: string; readonly flags: string[] } {
  const fromSource = import.meta.url.endsWith(".ts");
  const url = new URL(`${place}${fromSource ? ".ts" : ".js"}`, import.meta.url);
  return { script: fileURLToPath(url), flags: fromSource ? ["--import", "tsx"] : [] };
}

export interface Message {
  /** What happened, as the child calls it. */
  readonly said: string;
  readonly [more: string]: unknown;
}

/** A child whose messages are kept until somebody waits for them. */
export class Child {
  readonly process: ChildProcess;
  readonly #messages: Message[] = [];
  readonly #exited: Promise<void>;
  #stderr = "";
  #gone = false;
  #wake: (() => void) | undefined;

  constructor(place: string, args: readonly string[] = [], user: { uid?: number; gid?: number } = {}) {
    const { script, flags } = program(place);
    this.process = fork(script, args, {
      execArgv: flags,
      stdio: ["ignore", "ignore", "pipe", "ipc"],
      ...user,
    });
    // What the child said last may come in after the news of its end.
    const silent = once(this.process, "disconnect");
    this.#exited = Promise.all([once(this.process, "exit"), silent]).then(() => {
      this.#gone = true;
      this.#wake?.();
    });
    this.process.on("error", () => undefined); // a message to a child that was just killed
    this.process.stderr?.on("data", (bytes: Buffer) => {
      this.#stderr += bytes.toString();
    });
    this.process.on("message", (message: Message) => {
      this.#messages.push(message);
      this.#wake?.();
    });
  }

  get pid(): number {
    return this.process.pid ?? 0;
  }

  get ended(): boolean {
    return this.process.exitCode !== null || this.process.signalCode !== null;
  }

  tell(message: unknown): void {
    if (!this.ended) this.process.send(message as object, () => undefined);
  }

  /** Whether the child has said this so far. */
  hasSaid(said: string): boolean {
    return this.#messages.some((message) => message.said === said);
  }

  /** What the latest message that tells of `key` told. */
  last(key: string): unknown {
    return this.#messages.findLast((message) => message[key] !== undefined)?.[key];
  }

  /** The first message of this kind, now or later. Fails when the child ends or says `failed`. */
  async says(said: string): Promise<Message> {
    for (;;) {
      const found = this.#messages.find((message) => message.said === said);
      if (found !== undefined) return found;
      const failed = this.#messages.find((message) => message.said === "failed");
      if (failed !== undefined) throw new Error(`The child failed: ${String(failed["error"])}`);
      if (this.#gone) {
        throw new Error(
          `The child ended (${this.process.exitCode ?? this.process.signalCode}): ${this.#stderr}`,
        );
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Whether the child says this before it ends. Fails when it says `failed`. */
  async getsTo(said: string): Promise<boolean> {
    await Promise.race([this.says(said), this.#exited]).catch(() => undefined);
    if (!this.hasSaid(said) && this.hasSaid("failed")) await this.says(said);
    return this.hasSaid(said);
  }

  /** Resolves when the child is gone, with its exit status, or null after a signal. */
  async exit(): Promise<number | null> {
    await this.#exited;
    return this.process.exitCode;
  }

  /** Ends the child at once; nothing of it runs any more when this resolves. */
  async kill(): Promise<void> {
    if (!this.ended) this.process.kill("SIGKILL");
    const timer = setTimeout(() => {
      throw new Error(`The child ${this.pid} does not end`);
    }, KILL_WAIT_MS);
    await this.#exited.finally(() => clearTimeout(timer));
  }
}

/** Starts the next child while the present one is used, because a start of Node takes longer than what is tested. */
export class Nursery {
  readonly #place: string;
  readonly #all = new Set<Child>();
  #next: Child;

  constructor(place: string) {
    this.#place = place;
    this.#next = this.#start();
  }

  /** A child that has loaded its modules and waits. */
  async take(): Promise<Child> {
    const child = this.#next;
    await child.says("ready");
    this.#next = this.#start();
    return child;
  }

  async end(): Promise<void> {
    await Promise.all([...this.#all].map((child) => child.kill()));
  }

  #start(): Child {
    for (const child of this.#all) if (child.ended) this.#all.delete(child);
    const child = new Child(this.#place);
    this.#all.add(child);
    return child;
  }
}

/** Runs the body with children of this program and ends all of them. */
export async function withChildren<T>(place: string, body: (nursery: Nursery) => Promise<T>): Promise<T> {
  const nursery = new Nursery(place);
  try {
    return await body(nursery);
  } finally {
    await nursery.end();
  }
}
