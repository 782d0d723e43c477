/** Signals that ask a process to end: the first ends it clean, the third at once. */

const SIGNALS = ["SIGTERM", "SIGINT", "SIGHUP"] as const;

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

/** Installs the handlers; from here on none of the three signals ends the process by itself. */
export function listenForStop(listeners: StopListeners): StopRequests {
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
  for (const name of SIGNALS) {
    process.on(name, () => {
      signals += 1;
      if (signals === 1) request(name);
      else if (signals === 2) listeners.onSecond(name);
      else listeners.onThird(name);
    });
  }
  return { requested: promise, request, isRequested: () => requested };
}
