/**
 * A CVMFS client that starts its cache itself waits on a pipe, whose descriptor it names in the environment, until it is
 * told that it can connect, or that it can't.
 */
import { closeSync, fstatSync, writeSync } from "node:fs";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { CvmfsAddress } from "../engine/daemon/cvmfs/address.js";
import { messageOf } from "../index/core/errors.js";

const VARIABLE = "__CVMFS_CACHE_EXTERNAL_PIPE_READY__";
const READY = "C";
const FAILED = "F";
/** How long another daemon, that is starting too, may take until it answers. */
const OTHER_MS_MAX = 10_000;
const OTHER_RETRY_MS = 20;

export interface Supervisor {
  /** Clients can connect. */
  ready(): void;
  /** They never will. Nothing after ready(). */
  failed(): void;
}

/** Who waits for this process, if anybody does. @param onTrouble told when it can't be told. */
export function supervisorOf(
  environment: Readonly<Record<string, string | undefined>>,
  onTrouble: (message: string) => void,
): Supervisor | undefined {
  const text = environment[VARIABLE];
  if (text === undefined) return undefined;
  const descriptor = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  let told = false;
  const tell = (answer: string): void => {
    if (told) return;
    told = true;
    try {
      fstatSync(descriptor);
      writeSync(descriptor, answer);
      closeSync(descriptor);
    } catch (error) {
      onTrouble(
        `the client that started this daemon can't be told: ${messageOf(error)} (${VARIABLE}=${text})`,
      );
    }
  };
  return { ready: () => tell(READY), failed: () => tell(FAILED) };
}

/** Waits until somebody answers on the address. @returns whether somebody does. */
export async function isServed(address: CvmfsAddress): Promise<boolean> {
  for (let waitedMs = 0; waitedMs < OTHER_MS_MAX; waitedMs += OTHER_RETRY_MS) {
    if (await answers(address)) return true;
    await sleep(OTHER_RETRY_MS);
  }
  return false;
}

function answers(address: CvmfsAddress): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(
      address.kind === "unix" ? { path: address.path } : { host: address.host, port: address.port },
    );
    const settle = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once("connect", () => settle(true));
    socket.once("error", () => settle(false));
  });
}
