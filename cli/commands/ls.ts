/** `tagcache ls`: what is cached, by file system, volume and file. */
import type { Command } from "commander";
import type { ListEntry, Selector } from "../../engine/cache.js";
import { nameText, parseNameText } from "../../index/core/names.js";
import { formatBytes, formatCount } from "../../index/core/units.js";
import { withDaemon } from "../daemon.js";
import { example } from "../example.js";
import { CliError, EXIT } from "../exit-codes.js";
import { print, printJson } from "../output.js";
import { settingsOf } from "../settings.js";

/** Adds the command. Exit status: 0, 69 no daemon. */
export function addLs(program: Command): void {
  program
    .command("ls")
    .description(
      "list file systems, the volumes of one, or the cached files of a volume, with how much is cached",
    )
    .argument(
      "[fs]",
      "a file system type as listed, or FS/VOLUME: what follows the first slash is the volume",
    )
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      example("tagcache ls dir//home", "lists the files of the mount /home that are cached"),
    )
    .action(async (place: string | undefined, options: { json?: true }, command: Command) => {
      const what = selectorOf(place);
      const entries = await withDaemon(settingsOf(command), async (client) => {
        const found: ListEntry[] = [];
        for (let more = true; more;) {
          const after = found.at(-1)?.name;
          const page = await client.list(what, after === undefined ? {} : { after });
          found.push(...page.entries);
          more = page.more;
        }
        return found;
      });
      if (options.json) printJson(entries);
      else for (const line of linesOf(entries)) print(line);
      process.exitCode = EXIT.ok;
    });
}

/** @throws {CliError} 64; {CacheError} E_ARGUMENT for malformed digits. */
function selectorOf(place: string | undefined): Selector {
  if (place === undefined) return { all: true };
  const slash = place.indexOf("/");
  const fs = parseNameText(slash < 0 ? place : place.slice(0, slash));
  if (fs.length === 0) throw new CliError(EXIT.usage, `Cannot list "${place}": want FS or FS/VOLUME`);
  return slash < 0 ? { fs } : { fs, volume: parseNameText(place.slice(slash + 1)) };
}

function linesOf(entries: readonly ListEntry[]): string[] {
  const rows = entries.map((entry) => [
    formatBytes(entry.bytes),
    entry.sizeBytes === undefined || entry.sizeBytes === 0n
      ? ""
      : `of ${formatBytes(Number(entry.sizeBytes))}`,
    `${formatCount(entry.blocks)} blocks`,
    `${nameText(entry.name)}${entry.volumes === undefined ? "" : `  (${formatCount(entry.volumes)} volumes)`}` +
      `${entry.pinned === true ? "  pinned" : ""}`,
  ]);
  const widths = [0, 1, 2].map((column) => Math.max(0, ...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row.map((cell, column) => (column < 3 ? cell.padStart(widths[column] ?? 0) : cell)).join("  "),
  );
}
