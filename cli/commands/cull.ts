/** `tagcache cull`: gives room back to the drive now. */
import type { Command } from "commander";
import type { CullReport } from "../../engine/cache.js";
import { formatBytes, formatCount, parseSize } from "../../index/core/units.js";
import { withDaemon } from "../daemon.js";
import { example } from "../example.js";
import { CliError, EXIT } from "../exit-codes.js";
import { print, printJson } from "../output.js";
import type { Settings } from "../settings.js";
import { settingsOf } from "../settings.js";

interface CullOptions {
  readonly to?: string;
  readonly free?: string;
  readonly json?: true;
}

/** Adds the command. Exit status: 0 done, 69 no daemon, 75 what is in use keeps it from getting there. */
export function addCull(program: Command): void {
  program
    .command("cull")
    .description("drop the least valuable blocks now and give their room back to the drive")
    .option("--to <size>", "until the slot files occupy at most so much")
    .option("--free <size>", "until so much is given back; everything, if it is more than there is")
    .option("--json", "print JSON")
    .addHelpText("after", example("tagcache cull --free 5GiB", "the capacity stays as it is"))
    .action(async (options: CullOptions, command: Command) => {
      const wanted = wantedOf(options);
      const report = await cull(settingsOf(command), wanted);
      if (options.json) printJson(report);
      else {
        const { blocks, bytes, usedBytes } = report;
        print(
          `Culled ${formatCount(blocks)} blocks, gave back ${formatBytes(bytes)}; ${formatBytes(usedBytes)} used now`,
        );
      }
      process.exitCode = EXIT.ok;
    });
}

type Wanted = { readonly usedBytesMax: number } | { readonly freeBytes: number };

/** @throws {CliError} 64 unless exactly one is given; {CacheError} E_ARGUMENT when it is no size. */
function wantedOf({ to, free }: CullOptions): Wanted {
  if (to !== undefined && free === undefined) return { usedBytesMax: parseSize(to) };
  if (free !== undefined && to === undefined) return { freeBytes: parseSize(free) };
  const found = to === undefined ? "neither --to nor --free is given" : "--to and --free are given";
  throw new CliError(EXIT.usage, `Cannot cull: ${found}, want one of them`);
}

function cull(settings: Settings, wanted: Wanted): Promise<CullReport> {
  return withDaemon(settings, async (client) => {
    if ("usedBytesMax" in wanted) return client.cull(wanted);
    const { usedBytes } = await client.status();
    return client.cull({ usedBytesMax: Math.max(0, usedBytes - wanted.freeBytes) });
  });
}
