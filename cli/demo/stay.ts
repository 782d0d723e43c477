/** After the demo, on a terminal: the daemon stays, with a line that shows what it does. */
import { setTimeout as sleep } from "node:timers/promises";
import type { CacheClient } from "../../engine/daemon/client.js";
import { formatBytes, formatCount } from "../../index/core/units.js";
import { CliError, EXIT } from "../exit-codes.js";
import { canDraw, print } from "../output.js";
import type { Settings } from "../settings.js";
import type { StopRequests } from "../signals.js";
import type { DaemonChild } from "./child.js";

const REDRAW_MS = 1000;

/** Resolves when a clean stop is asked for. @throws {CliError} when the daemon ends by itself. */
export async function stayInForeground(
  client: CacheClient,
  settings: Settings,
  stop: StopRequests,
  child: DaemonChild,
): Promise<void> {
  print(`The cache stays; try: tagcache status --dir ${settings.directory}. Ctrl-C stops it clean.`);
  const ending = Promise.race([stop.requested, child.exited.then(() => "daemon" as const)]);
  for (;;) {
    const status = await client.status();
    if (canDraw()) {
      const line =
        `${formatCount(status.slots.used)} blocks, ${formatBytes(status.usedBytes)} of ` +
        `${formatBytes(status.capacityBytes)}, ${formatCount(status.hits)} hits, ${formatCount(status.misses)} misses`;
      process.stderr.write(`\r\u001B[K${line}`);
    }
    const reason = await Promise.race([ending, sleep(REDRAW_MS, undefined, { ref: false })]);
    if (reason === undefined) continue;
    if (canDraw()) process.stderr.write("\r\u001B[K");
    if (reason === "daemon") throw new CliError(EXIT.unavailable, "The daemon was ended by somebody else");
    return;
  }
}
