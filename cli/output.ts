/** What commands print: results on stdout, remarks and progress on stderr. */
import type { SingleBar } from "cli-progress";
import { nameText } from "../index/core/names.js";

/** Prints one JSON value: bytes as text or `hex:…`, integers that may pass 2^53 (bigint) as decimal strings. */
export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(plain(value), undefined, 2)}\n`);
}

/** Buffers have a toJSON of their own, so a replacer would come too late. */
function plain(value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Uint8Array) return nameText(value);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, plain(member)]));
}

/** Prints one line on stdout. */
export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Prints one remark on stderr, as everything there with our name in front. */
export function remark(line: string): void {
  process.stderr.write(`tagcache: ${line}\n`);
}

/** Writes bytes to stdout; resolves when there is room for more. */
export async function writeOut(bytes: Uint8Array): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    process.stdout.write(bytes, (error) => (error ? reject(error) : resolve()));
  });
}

/** Prints names and values in two columns. */
export function printFields(fields: readonly (readonly [name: string, value: string])[]): void {
  const width = Math.max(...fields.map(([name]) => name.length));
  for (const [name, value] of fields) print(`${name.padEnd(width)}  ${value}`);
}

/** Whether stderr is a terminal where a line may be drawn over. */
export function canDraw(): boolean {
  return process.stderr.isTTY && process.env["TERM"] !== "dumb";
}

export interface Progress {
  /** `detail` is only made when something is drawn. */
  update(done: number, detail?: () => string): void;
  stop(): void;
}

/**
 * A progress bar on stderr, on a terminal; nothing elsewhere. `total` 0 means that nobody knows it. What draws it is loaded
 * meanwhile, because a command without a bar would be 20 ms later with it.
 */
export function startProgress(label: string, total: number): Progress {
  if (!canDraw()) return { update: () => undefined, stop: () => undefined };
  let bar: SingleBar | undefined;
  let stopped = false;
  const draw = async (): Promise<void> => {
    const { SingleBar } = await import("cli-progress");
    if (stopped) return;
    bar = new SingleBar({
      format: total > 0 ? `${label} {bar} {value}/{total} {detail}` : `${label} {value} {detail}`,
      stream: process.stderr,
      barsize: 30,
      barCompleteChar: "#",
      barIncompleteChar: ".",
      clearOnComplete: true,
      hideCursor: false,
    });
    bar.start(total, 0, { detail: "" });
  };
  void draw(); // a library that is missing is a bug, and ends the process as one
  return {
    update: (done, detail) => bar?.update(done, { detail: detail?.() ?? "" }),
    stop: () => {
      stopped = true;
      bar?.stop();
    },
  };
}
