/** Throughput of several client processes of one store at the same time, each with a connection or descriptors of its own. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Place, StoreName } from "./contestants.js";
import { rounded } from "./result.js";
import { median } from "./rounds.js";

export type ClientWorkload = "whole" | "page";

/** What a client process is told to do. */
export interface ClientTask {
  readonly workload: ClientWorkload;
  readonly ms: number;
  /** Of the first so many blocks; of the working set unless given. */
  readonly blocks?: number;
}

/** What it did: operations, and how long each took. */
export interface ClientReport {
  readonly count: number;
  readonly ms: number;
  readonly p99Us: number;
}

export interface Throughput {
  readonly operationsPerSecond: number;
  /** The median of the clients' own. */
  readonly p99Us: number;
}

const PROGRAM = fileURLToPath(new URL("client-process.js", import.meta.url));

export class Clients {
  readonly #children: ChildProcess[];

  private constructor(children: ChildProcess[]) {
    this.#children = children;
  }

  /** Starts `count` processes and waits until each is a client, and has read for a while unless `warm` says otherwise. */
  static async start(
    name: StoreName,
    place: Place,
    count: number,
    { warm = true }: { readonly warm?: boolean } = {},
  ): Promise<Clients> {
    const args = [name, place.directory, place.socketPath ?? "", warm ? "warm" : "new"];
    const children = Array.from({ length: count }, () => fork(PROGRAM, args));
    const clients = new Clients(children);
    try {
      await Promise.all(children.map((child) => answerOf(child)));
      return clients;
    } catch (error) {
      await clients.stop();
      throw error;
    }
  }

  /** Lets the first `count` of them work at the same time. */
  async run(count: number, task: ClientTask): Promise<Throughput> {
    const working = this.#children.slice(0, count);
    const answers = working.map((child) => answerOf(child) as Promise<ClientReport>);
    for (const child of working) child.send(task);
    const reports = await Promise.all(answers);
    const operationsPerSecond = reports.reduce((sum, { count: done, ms }) => sum + (done * 1000) / ms, 0);
    return {
      operationsPerSecond: rounded(operationsPerSecond),
      p99Us: rounded(median(reports.map(({ p99Us }) => p99Us))),
    };
  }

  async stop(): Promise<void> {
    await Promise.all(
      this.#children.map(async (child) => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        const ended = once(child, "exit");
        child.kill("SIGKILL");
        await ended;
      }),
    );
  }
}

/** The next message of a process. @throws {Error} if it ends instead. */
function answerOf(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const onExit = (): void => reject(new Error("a client process ended"));
    child.once("exit", onExit);
    child.once("message", (message) => {
      child.off("exit", onExit);
      resolve(message);
    });
  });
}
