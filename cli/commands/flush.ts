/** `tagcache flush`: drops what is cached of files, trees, volumes or everything. */
import type { Command } from "commander";
import type { FlushReport, Selector } from "../../engine/cache.js";
import type { CacheClient } from "../../engine/daemon/client.js";
import { selectorsOf } from "../../engine/origin/place.js";
import { formatBytes, formatCount } from "../../index/core/units.js";
import { withDaemon } from "../daemon.js";
import { example } from "../example.js";
import { EXIT } from "../exit-codes.js";
import { print, printJson } from "../output.js";
import { type SelectionOptions, addSelection, checkChoice, namedSelector, withPlaces } from "../selection.js";
import { type Settings, settingsOf } from "../settings.js";

interface FlushOptions extends SelectionOptions {
  readonly all?: true;
  readonly dryRun?: true;
  readonly json?: true;
}

/** Adds the command. Exit status: 0 done, 69 no daemon. */
export function addFlush(program: Command): void {
  addSelection(program.command("flush"))
    .description(
      "drop what is cached and clean of files, trees, a volume, a file system or everything; never unsent changes",
    )
    .option("--all", "everything but what is pinned")
    .option("--dry-run", "only count what would go")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      example("tagcache flush --dry-run src", "tells how much of the tree src is cached and would go"),
    )
    .action(async (paths: string[], options: FlushOptions, command: Command) => {
      checkChoice("flush", paths, options, options.all);
      const report = await flush(settingsOf(command), paths, options);
      if (options.json) printJson(report);
      else print(lineOf(report, options.dryRun === true));
      process.exitCode = EXIT.ok;
    });
}

function flush(settings: Settings, paths: readonly string[], options: FlushOptions): Promise<FlushReport> {
  if (paths.length > 0) {
    return withPlaces(settings, paths, options, (client, places) =>
      flushAll(client, places.flatMap(selectorsOf), options),
    );
  }
  const what = namedSelector(options) ?? { all: true };
  return withDaemon(settings, (client) => flushAll(client, [what], options));
}

async function flushAll(
  client: CacheClient,
  selectors: readonly Selector[],
  options: FlushOptions,
): Promise<FlushReport> {
  const total = { dropped: { blocks: 0, bytes: 0 }, skipped: { inUse: 0, pinned: 0, unsent: 0 } };
  for (const what of selectors) {
    const { dropped, skipped } = await client.flush(what, { dryRun: options.dryRun === true });
    total.dropped.blocks += dropped.blocks;
    total.dropped.bytes += dropped.bytes;
    for (const why of ["inUse", "pinned", "unsent"] as const) total.skipped[why] += skipped[why];
  }
  return total;
}

function lineOf({ dropped, skipped }: FlushReport, dryRun: boolean): string {
  const names = [
    [skipped.inUse, "in use"],
    [skipped.pinned, "pinned"],
    [skipped.unsent, "unsent"],
  ] as const;
  const left = names.filter(([count]) => count > 0).map(([count, why]) => `${formatCount(count)} ${why}`);
  const what = `${formatCount(dropped.blocks)} blocks, ${formatBytes(dropped.bytes)}`;
  const stays = left.length === 0 ? "" : `; ${dryRun ? "would leave" : "left"} ${left.join(", ")}`;
  return `${dryRun ? "Would drop" : "Dropped"} ${what}${stays}`;
}
