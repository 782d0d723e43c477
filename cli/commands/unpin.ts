/** `tagcache unpin`: lets what was pinned be culled again. */
import type { Command } from "commander";
import type { Selector } from "../../engine/cache.js";
import type { CacheClient } from "../../engine/daemon/client.js";
import { selectorsOf } from "../../engine/origin/place.js";
import { formatCount } from "../../index/core/units.js";
import { withDaemon } from "../daemon.js";
import { example } from "../example.js";
import { EXIT } from "../exit-codes.js";
import { print, printJson } from "../output.js";
import { type SelectionOptions, addSelection, checkChoice, namedSelector, withPlaces } from "../selection.js";
import { settingsOf } from "../settings.js";

interface UnpinOptions extends SelectionOptions {
  readonly all?: true;
  readonly json?: true;
}

/** Adds the command. Exit status: 0 done, 1 nothing of that name was pinned, 69 no daemon. */
export function addUnpin(program: Command): void {
  addSelection(program.command("unpin"))
    .description("take pins away: those of exactly these names, or all of a file system or of the cache")
    .option("--all", "all pins")
    .option("--json", "print JSON")
    .addHelpText("after", example("tagcache unpin src", "the tree src can be culled again"))
    .action(async (paths: string[], options: UnpinOptions, command: Command) => {
      checkChoice("unpin", paths, options, options.all);
      const settings = settingsOf(command);
      const what = namedSelector(options) ?? { all: true };
      const removed =
        paths.length > 0
          ? await withPlaces(settings, paths, options, (client, places) =>
              unpinAll(client, places.flatMap(selectorsOf)),
            )
          : await withDaemon(settings, (client) => unpinAll(client, [what]));
      if (options.json) printJson({ removed });
      else print(`Took ${formatCount(removed)} pins away`);
      process.exitCode = removed > 0 || options.all === true ? EXIT.ok : EXIT.negative;
    });
}

async function unpinAll(client: CacheClient, selectors: readonly Selector[]): Promise<number> {
  let removed = 0;
  for (const what of selectors) removed += (await client.unpin(what)).removed;
  return removed;
}
