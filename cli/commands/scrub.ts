/** `tagcache scrub`: has the daemon check every cached block in the background. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import type { ScrubStatus } from "../../engine/cache.js";
import type { CacheClient } from "../../engine/daemon/client.js";
import { formatBytes, formatCount, parseSize } from "../../index/core/units.js";
import { withDaemon } from "../daemon.js";
import { example } from "../example.js";
import { EXIT } from "../exit-codes.js";
import { print, printJson, startProgress } from "../output.js";
import { settingsOf } from "../settings.js";

const LOOK_EVERY_MS = 200;

interface ScrubOptions {
  readonly rate?: string;
  readonly stop?: true;
  readonly wait?: true;
  readonly json?: true;
}

/** Adds the command. Exit status: 0 begun, stopped or done, 1 with --wait if blocks were dropped, 69 no daemon. */
export function addScrub(program: Command): void {
  program
    .command("scrub")
    .description("check every cached block in the background, and drop those that are not what was stored")
    .option("--rate <size>", "bytes a second at most (default: 32MiB)")
    .option("--stop", "end the scrub that runs")
    .option("--wait", "wait until it is done")
    .option("--json", "print JSON")
    .addHelpText("after", example("tagcache scrub --rate 100MiB", "tagcache status tells how far it is"))
    .action(async (options: ScrubOptions, command: Command) => {
      const status = await withDaemon(settingsOf(command), (client) => scrub(client, options));
      if (options.json) printJson(status);
      else print(textOf(status));
      process.exitCode = options.wait && status.corrupt > 0 ? EXIT.negative : EXIT.ok;
    });
}

async function scrub(client: CacheClient, { rate, stop, wait }: ScrubOptions): Promise<ScrubStatus> {
  const bytesPerSecond = stop ? 0 : rate === undefined ? undefined : parseSize(rate);
  await client.scrub(bytesPerSecond === undefined ? {} : { bytesPerSecond });
  let { trust, slots } = await client.status();
  if (!wait) return trust.scrub;
  const bar = startProgress("checking", slots.used);
  try {
    for (; trust.scrub.state === "running"; { trust, slots } = await client.status()) {
      bar.update(trust.scrub.blocks);
      await sleep(LOOK_EVERY_MS);
    }
  } finally {
    bar.stop();
  }
  return trust.scrub;
}

function textOf({ state, blocks, bytes, corrupt, bytesPerSecond }: ScrubStatus): string {
  const found = `${formatCount(blocks)} blocks, ${formatBytes(bytes)} checked, ${formatCount(corrupt)} dropped`;
  if (state === "idle") return `No scrub runs; the last one: ${found}`;
  return `Scrubbing at ${formatBytes(bytesPerSecond)} a second: ${found}`;
}
