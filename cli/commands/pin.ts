/** `tagcache pin`: keeps files, trees and volumes from culling and flush. */
import type { Command } from "commander";
import type { PinReport, Selector } from "../../engine/cache.js";
import type { CacheClient } from "../../engine/daemon/client.js";
import { type Place, selectorsOf } from "../../engine/origin/place.js";
import { SKIP_REASONS } from "../../engine/origin/trouble.js";
import { nameText } from "../../index/core/names.js";
import { formatBytes, formatCount } from "../../index/core/units.js";
import { withDaemon } from "../daemon.js";
import { example } from "../example.js";
import { CliError, EXIT } from "../exit-codes.js";
import { print, printJson } from "../output.js";
import { type SelectionOptions, addSelection, checkChoice, namedSelector, withPlaces } from "../selection.js";
import { settingsOf } from "../settings.js";

/** Adds the command. Exit status: 0 pinned, 66 no such path, 69 no daemon, 75 the share of pins is used up. */
export function addPin(program: Command): void {
  addSelection(program.command("pin"))
    .description("keep files, trees or a volume from culling and flush, now and when they are cached later")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      example("tagcache pin src && tagcache warm --pins", "keeps the tree src cached, and fetches it"),
    )
    .action(async (paths: string[], options: SelectionOptions & { json?: true }, command: Command) => {
      checkChoice("pin", paths, options);
      const named = namedSelector(options);
      const settings = settingsOf(command);
      const report =
        named === undefined
          ? await withPlaces(settings, paths, options, (client, places) =>
              pinAll(client, places.map(selectorOf)),
            )
          : await withDaemon(settings, (client) => pinAll(client, [named]));
      const { pins, blocks, bytes } = report;
      if (options.json) printJson(report);
      else
        print(
          `Pinned ${formatCount(pins)} more; ${formatCount(blocks)} blocks, ${formatBytes(bytes)} of it are cached`,
        );
      process.exitCode = EXIT.ok;
    });
}

/** One after another: those before the first that is refused stay pinned. */
async function pinAll(
  client: CacheClient,
  selectors: readonly Selector[],
): Promise<{ readonly pins: number } & Omit<PinReport, "added">> {
  const total = { pins: 0, blocks: 0, bytes: 0 };
  for (const what of selectors) {
    const { added, blocks, bytes } = await client.pin(what);
    total.pins += added ? 1 : 0;
    total.blocks += blocks;
    total.bytes += bytes;
  }
  return total;
}

/** @throws {CliError} 66 for what can't be cached. */
function selectorOf(place: Place): Selector {
  const reason = reasonAgainst(place);
  if (reason !== undefined) {
    throw new CliError(
      EXIT.noInput,
      `Cannot pin ${nameText(place.path)}: ${reason}, want a file or a directory`,
    );
  }
  const [file, tree] = selectorsOf(place);
  return (place.kind === "directory" ? (tree ?? file) : file) as Selector;
}

function reasonAgainst({ kind, bypass }: Place): string | undefined {
  if (kind === "gone") return "it does not exist";
  if (kind === "other") return "it is neither";
  return bypass === undefined ? undefined : SKIP_REASONS[bypass];
}
