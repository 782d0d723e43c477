/** `tagcache explain`: everything known of a block. */
import type { Command } from "commander";
import type { Explanation, HolderExplanation, Tag } from "../../engine/cache.js";
import { ORIGIN_FS } from "../../engine/origin/origin.js";
import { formatBytes, formatCount } from "../../index/core/units.js";
import { withDaemon } from "../daemon.js";
import { example } from "../example.js";
import { CliError, EXIT } from "../exit-codes.js";
import { type OriginOptions, addOriginOption } from "../origin.js";
import { printFields, printJson } from "../output.js";
import { withPlaces } from "../selection.js";
import { settingsOf } from "../settings.js";
import { type TagOptions, tagOf } from "../tag-options.js";

interface ExplainOptions extends OriginOptions, Partial<Omit<TagOptions, "block">> {
  readonly block: string;
  readonly json?: true;
}

/** Adds the command. Exit status: 0 the block is cached, 1 it is not, 69 no daemon. */
export function addExplain(program: Command): void {
  addOriginOption(program.command("explain"))
    .description(
      "tell everything known of one block: entry, slot, coherency, recency, and whether it may be culled",
    )
    .argument("[path]", "the file; it need not exist any more")
    .option("--fs <name>", "instead of a path: file system type, as text or hex:DIGITS")
    .option("--volume <name>", "volume")
    .option("--inode <name>", "file")
    .option("--block <number>", "number of the 256 KiB block", "0")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      example("tagcache explain src/main.c", "why its first block is, or is not, a victim"),
    )
    .action(async (path: string | undefined, options: ExplainOptions, command: Command) => {
      const settings = settingsOf(command);
      const tag = checkNames(path, options);
      const found =
        path === undefined
          ? await withDaemon(settings, (client) => client.explain(tag))
          : await withPlaces(settings, [path], options, (client, [place]) =>
              client.explain({ ...tag, volume: place?.volume ?? "", inode: place?.inode ?? "" }),
            );
      if (options.json) printJson(withHex(found));
      else printFields(fieldsOf(found));
      process.exitCode = found.state === "cached" ? EXIT.ok : EXIT.negative;
    });
}

/** The tag that was named; of a path its block and file system. @throws {CliError} 64; {CacheError} E_ARGUMENT. */
function checkNames(path: string | undefined, options: ExplainOptions): Tag {
  const { fs, volume, inode, block } = options;
  const named = [fs, volume, inode].filter((part) => part !== undefined).length;
  if (path !== undefined && named === 0) return tagOf({ fs: ORIGIN_FS, volume: "", inode: "", block });
  if (path === undefined && fs !== undefined && volume !== undefined && inode !== undefined) {
    return tagOf({ fs, volume, inode, block });
  }
  throw new CliError(EXIT.usage, "Cannot explain: want either a PATH, or --fs, --volume and --inode");
}

function fieldsOf(found: Explanation): [string, string][] {
  const { entry, slot, recency, share, file, volume } = found;
  const fields: [string, string][] = [
    ["state", `${found.state}${found.inUse ? ", in use" : ""}`],
    ["victim", `${found.victim ? "yes" : "no"}: ${found.why}`],
  ];
  if (entry !== undefined) {
    fields.push(
      [
        "entry",
        `version ${entry.version}, ${formatBytes(entry.validBytes)} valid, checksum ${entry.checksum}`,
      ],
      ["generation", `epoch ${entry.epoch}, sequence ${entry.sequence}`],
      ["pages", `present ${runsText(entry.present)}; zero ${runsText(entry.zero)}`],
    );
  }
  if (slot !== undefined) fields.push(["slot", `${slot.number}, ${slot.state}, ${slot.pages} pages high`]);
  if (recency !== undefined) {
    const rank =
      recency.rank === undefined ? "not among the first to go" : `rank ${formatCount(recency.rank)}`;
    fields.push(["recency", `${rank} of ${formatCount(recency.used)} used, 1 being the least recently used`]);
  }
  if (share !== undefined) {
    fields.push([
      "share",
      `${share.fs}${share.volume === undefined ? "" : `/${share.volume}`}: ${share.state}`,
    ]);
  }
  fields.push(["pin", found.pin]);
  if (file !== undefined)
    fields.push(["file", `${holderText(file)}, ${formatBytes(Number(file.sizeBytes))}`]);
  if (volume !== undefined) fields.push(["volume", holderText(volume)]);
  return fields;
}

/** Coherency data is no text, even where it looks like some. */
function withHex(found: Explanation): object {
  const hex = (holder: HolderExplanation) => ({ ...holder, coherency: holder.coherency.toString("hex") });
  return {
    ...found,
    ...(found.file && { file: hex(found.file) }),
    ...(found.volume && { volume: hex(found.volume) }),
  };
}

function holderText({ id, coherency, stamp }: HolderExplanation): string {
  const data = coherency.length === 0 ? "none" : coherency.toString("hex");
  return `id ${id}, coherency data ${data}, invalidated up to sequence ${stamp}`;
}

function runsText(runs: ReadonlyArray<readonly [number, number]>): string {
  if (runs.length === 0) return "none";
  return runs.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(",");
}
