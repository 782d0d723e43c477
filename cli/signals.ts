/** Signals: those that ask a process to end, the first clean and the third at once; and the one that asks it to read its settings again. */
import { closeSync } from "node:fs";
import { isatty } from "node:tty";

export type StopSignal = "SIGTERM" | "SIGINT" | "SIGHUP";

export interface StopRequests {
  /** Resolves at the first signal, or call of request(). */
  readonly requested: Promise<string>;
  /** Asks for a clean stop from within. */
  request(reason: string): void;
  isRequested(): boolean;
}

export interface StopListeners {
  /** The second signal: nothing changes. */
  readonly onSecond: (signal: string) => void;
  /** The third: the process has to end now. */
  readonly onThird: (signal: string) => void;
}

/** Installs the handlers; from here on none of these signals ends the process by itself. */
export function listenForStop(signalNames: readonly StopSignal[], listeners: StopListeners): StopRequests {
  let signals = 0;
  let requested = false;
  let resolve: (reason: string) => void;
  const promise = new Promise<string>((done) => {
    resolve = done;
  });
  const request = (reason: string): void => {
    requested = true;
    resolve(reason);
  };
  for (const name of signalNames) {
    process.on(name, () => {
      signals += 1;
      if (signals === 1) request(name);
      else if (signals === 2) listeners.onSecond(name);
      else listeners.onThird(name);
    });
  }
  return { requested: promise, request, isRequested: () => requested };
}

const STDIO = [0, 1, 2] as const;
const STDERR = 2;

export interface ReloadRequests {
  /** From here on SIGHUP calls this; at once if one came before. */
  attach(onReload: () => void): void;
  /**
   * The last thing a process does. Node restores the modes of its terminal at exit and aborts when that has gone; what is
   * closed it leaves alone.
   */
  releaseTerminal(): void;
}

/**
 * Installs the handler of SIGHUP. A process on a terminal gets one too when the terminal goes away, and then nobody
 * wants its settings read again.
 */
export function listenForReload(onTerminalGone: () => void): ReloadRequests {
  const terminals = STDIO.filter((descriptor) => isatty(descriptor));
  const onTerminal = terminals.includes(STDERR);
  let early = false;
  let gone = false;
  let listener: (() => void) | undefined;
  process.on("SIGHUP", () => {
    if (onTerminal && !isatty(STDERR)) {
      gone = true;
      onTerminalGone();
    } else if (listener !== undefined) listener();
    else early = true;
  });
  return {
    attach(onReload) {
      listener = onReload;
      if (early) onReload();
    },
    releaseTerminal() {
      if (gone) for (const descriptor of terminals) closeSync(descriptor);
    },
  };
}
