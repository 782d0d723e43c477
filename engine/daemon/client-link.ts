/**
 * The client's way to the daemon: calls with deadlines over a connection that may stand still, end and come back.
 *
 * - up: calls are sent.
 * - suspect: a deadline has passed. Calls are answered `timeout` at once, while a ping waits on the same connection;
 *   any reply at all brings `up` back.
 * - down: no connection. Calls are answered `unavailable` at once, while connecting is tried again and again.
 */
import type { CacheError } from "../../index/core/errors.js";
import { Call } from "./client-call.js";
import type { Answer, CallOptions } from "./client-call.js";
import { openChannel } from "./client-channel.js";
import type { Channel } from "./client-channel.js";
import type { Hello } from "./hello.js";

/** Calls in flight beyond these wait in the client, within their deadline. */
export const CLIENT_REQUESTS_MAX = 128;
export const CLIENT_BYTES_MAX = 16 * 1024 * 1024;
/** Calls that may wait so; beyond it they are answered `overload` at once. */
export const CLIENT_WAITING_MAX = 4096;
/** Pause between attempts to connect: the first, and where doubling it ends. */
const RECONNECT_MS_MIN = 10;
const RECONNECT_MS_MAX = 1000;
/** A stopped daemon accepts and says nothing: an attempt waits so long for its hello. */
const RECONNECT_HELLO_MS = 5000;
/** A connection that stays suspect for so long is given up. */
const SUSPECT_MS_MAX = 30_000;

export interface LinkOptions {
  readonly socketPath: string;
  readonly deadlineMs: number;
}

type State = "up" | "suspect" | "down" | "closed";

/** @throws {CacheError} as openChannel. */
export async function openLink(options: LinkOptions): Promise<Link> {
  const { channel, hello } = await openChannel({
    socketPath: options.socketPath,
    helloMs: options.deadlineMs,
    ref: true,
  });
  return new Link(options, channel, hello);
}

export class Link {
  readonly #options: LinkOptions;
  #state: State = "down";
  #channel: Channel;
  #hello: Hello;
  #generation = 0;
  /** Told when a connection begins or ends. */
  onChange: () => void = () => undefined;
  #closing: Promise<void> | undefined;
  #onIdle: (() => void) | undefined;
  /** Not answered yet, in the order of the calls. */
  readonly #calls = new Set<Call>();
  /** Of these, the ones not sent yet, from #waitingFrom on. */
  #waiting: Call[] = [];
  #waitingFrom = 0;
  #deadlineTimer: NodeJS.Timeout | undefined;
  #deadlineTimerAtMs = Infinity;
  #stateTimer: NodeJS.Timeout | undefined;

  constructor(options: LinkOptions, channel: Channel, hello: Hello) {
    this.#options = options;
    this.#channel = channel;
    this.#hello = hello;
    this.#adopt(channel, hello);
  }

  /** What the daemon said when the present or last connection began. */
  get hello(): Hello {
    return this.#hello;
  }

  /** Counts connections; handles live as long as theirs. */
  get generation(): number {
    return this.#generation;
  }

  /** There is a connection, be it that nothing comes from it. */
  get connected(): boolean {
    return this.#state === "up" || this.#state === "suspect";
  }

  get closed(): boolean {
    return this.#closing !== undefined;
  }

  /** Never rejects, and is settled within the deadline. */
  call(options: CallOptions): Promise<Answer> {
    const refusal = this.#refusal(options);
    // Not in the same turn: whoever asks again and again must not keep the daemon's answers and all timers from their turn.
    if (refusal !== undefined) {
      return new Promise((resolve) => setImmediate(resolve, { kind: refusal }));
    }
    return new Promise((resolve) => {
      const deadlineAtMs = performance.now() + (options.deadlineMs ?? this.#options.deadlineMs);
      const call = new Call(options, deadlineAtMs, (answer) => {
        this.#calls.delete(call);
        if (this.#calls.size === 0) this.#idle();
        resolve(answer);
      });
      if (this.#calls.size === 0) this.#channel.ref();
      this.#calls.add(call);
      if (deadlineAtMs < this.#deadlineTimerAtMs) this.#armDeadline(deadlineAtMs);
      if (this.#waiting.length === 0 && this.#hasRoom(call)) this.#channel.send(call);
      else this.#waiting.push(call);
    });
  }

  /** Lets calls finish within the deadline, then ends the connection. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    for (const call of this.#calls) if (call.options.waits === true) call.settle({ kind: "closing" });
    if (this.#state === "up" && this.#calls.size > 0) {
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
        timer = setTimeout(resolve, this.#options.deadlineMs);
      });
      clearTimeout(timer);
    }
    this.#state = "closed";
    this.onChange();
    clearTimeout(this.#stateTimer);
    clearTimeout(this.#deadlineTimer);
    this.#channel.destroy();
    this.#settleAll("closing");
  }

  #refusal(options: CallOptions): Exclude<Answer["kind"], "reply" | "error"> | undefined {
    if (this.#closing !== undefined) return "closed";
    if (this.#state === "down") return "unavailable";
    if (options.generation !== undefined && options.generation !== this.#generation) return "dead";
    if (this.#state === "suspect") return "timeout";
    return this.#waiting.length - this.#waitingFrom >= CLIENT_WAITING_MAX ? "overload" : undefined;
  }

  /** An idle client does not keep its process alive. */
  #idle(): void {
    this.#channel.unref();
    this.#onIdle?.();
  }

  #adopt(channel: Channel, hello: Hello): void {
    this.#channel = channel;
    this.#hello = hello;
    this.#generation += 1;
    this.#state = "up";
    channel.unref();
    channel.events = {
      onReply: () => this.#onReply(),
      onClosed: () => {
        if (channel === this.#channel && this.#state !== "closed") this.#lose("unavailable");
      },
    };
    this.onChange();
  }

  #onReply(): void {
    if (this.#state === "suspect") {
      this.#state = "up";
      clearTimeout(this.#stateTimer);
    }
    if (this.#waiting.length > 0) this.#sendWaiting();
  }

  #hasRoom(call: Call): boolean {
    const { requests, bytes } = this.#channel;
    if (requests === 0) return true;
    const { limits } = this.#hello;
    return (
      requests < Math.min(CLIENT_REQUESTS_MAX, limits.requests) &&
      bytes + call.costBytes <= Math.min(CLIENT_BYTES_MAX, limits.bytes)
    );
  }

  #sendWaiting(): void {
    while (this.#waitingFrom < this.#waiting.length) {
      const call = this.#waiting[this.#waitingFrom];
      if (call !== undefined && !call.settled) {
        if (!this.#hasRoom(call)) return;
        this.#channel.send(call);
      }
      this.#waitingFrom += 1;
    }
    this.#waiting = [];
    this.#waitingFrom = 0;
  }

  #armDeadline(atMs: number): void {
    clearTimeout(this.#deadlineTimer);
    this.#deadlineTimerAtMs = atMs;
    // A turn of the event loop first: replies may lie in the socket because this process was the slow one.
    this.#deadlineTimer = setTimeout(() => setImmediate(() => this.#onDeadline()), atMs - performance.now());
    this.#deadlineTimer.unref();
  }

  /** The timer is set for the call that was the earliest once; most often that one is answered long since. */
  #onDeadline(): void {
    this.#deadlineTimerAtMs = Infinity;
    if (this.#state === "closed") return;
    const now = performance.now();
    let earliestMs = Infinity;
    let expired = false;
    let intact = true;
    for (const call of this.#calls) {
      if (call.deadlineAtMs > now) {
        earliestMs = Math.min(earliestMs, call.deadlineAtMs);
        continue;
      }
      expired = true;
      if (!this.#channel.abandon(call)) intact = false;
    }
    if (expired && !intact) this.#lose("timeout");
    else if (expired) this.#suspect(now);
    if (this.#calls.size > 0 && earliestMs < this.#deadlineTimerAtMs) this.#armDeadline(earliestMs);
  }

  #suspect(now: number): void {
    for (const call of this.#waiting) call.settle({ kind: "timeout" });
    this.#waiting = [];
    this.#waitingFrom = 0;
    for (const call of this.#calls) if (call.deadlineAtMs <= now) call.settle({ kind: "timeout" });
    if (this.#state !== "up") return;
    this.#state = "suspect";
    this.#channel.send(new Call({ header: { op: "ping" } }, Infinity, () => undefined));
    this.#stateTimer = setTimeout(() => this.#lose("timeout"), SUSPECT_MS_MAX);
    this.#stateTimer.unref();
  }

  /** The connection is of no more use. Its memory is not touched after this, whatever the daemon does. */
  #lose(kind: "timeout" | "unavailable"): void {
    const { socketPath } = this.#options;
    this.#state = "down";
    this.onChange();
    this.#channel.events = { onReply: () => undefined, onClosed: () => undefined };
    this.#channel.destroy();
    this.#settleAll(kind);
    this.#reconnect(socketPath, RECONNECT_MS_MIN);
  }

  #settleAll(kind: "timeout" | "unavailable" | "closing"): void {
    for (const call of this.#calls) call.settle({ kind });
    this.#waiting = [];
    this.#waitingFrom = 0;
  }

  #reconnect(socketPath: string, pauseMs: number): void {
    clearTimeout(this.#stateTimer);
    this.#stateTimer = setTimeout(() => {
      openChannel({ socketPath, helloMs: RECONNECT_HELLO_MS, ref: false }).then(
        ({ channel, hello }) => {
          if (this.#state === "down" && !this.closed) this.#adopt(channel, hello);
          else channel.destroy();
        },
        // The reason is of no use here: calls are answered `unavailable` until an attempt succeeds.
        (_error: CacheError) => {
          if (this.#state !== "down" || this.closed) return;
          this.#reconnect(socketPath, Math.min(2 * pauseMs, RECONNECT_MS_MAX));
        },
      );
    }, pauseMs);
    this.#stateTimer.unref();
  }
}
