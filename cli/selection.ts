/** What a command works on, from its paths and its --fs, --volume and --inode. */
import type { Command } from "commander";
import type { Selector } from "../engine/cache.js";
import type { CacheClient } from "../engine/daemon/client.js";
import { type Place, placeOf } from "../engine/origin/place.js";
import { checkFsName, checkName, parseNameText } from "../index/core/names.js";
import { CliError, EXIT } from "./exit-codes.js";
import { type OriginOptions, addOriginOption, argumentPaths, withOrigin } from "./origin.js";
import type { Settings } from "./settings.js";

export interface SelectionOptions extends OriginOptions {
  readonly fs?: string;
  readonly volume?: string;
  readonly inode?: string;
}

/** Declares paths and names to choose by. */
export function addSelection(command: Command): Command {
  return addOriginOption(command)
    .argument("[path...]", "files and directories; they need not exist any more")
    .option("--fs <name>", "a file system type, as text or hex:DIGITS")
    .option("--volume <name>", "a volume of it")
    .option("--inode <name>", "a file of that volume");
}

/** The names as they were given; undefined if none was. @throws {CliError} 64; {CacheError} E_ARGUMENT. */
export function namedSelector({ fs, volume, inode }: SelectionOptions): Selector | undefined {
  if (fs === undefined) {
    if ((volume ?? inode) === undefined) return undefined;
    throw new CliError(
      EXIT.usage,
      `Cannot use --${volume === undefined ? "inode" : "volume"}: want --fs as well`,
    );
  }
  if (volume === undefined && inode !== undefined) {
    throw new CliError(EXIT.usage, "Cannot use --inode: want --volume as well");
  }
  const names = { fs: checkFsName(parseNameText(fs)) };
  if (volume === undefined) return names;
  const inVolume = { ...names, volume: checkName("volume", parseNameText(volume)) };
  return inode === undefined ? inVolume : { ...inVolume, inode: checkName("inode", parseNameText(inode)) };
}

/** Checks that a command got paths, or names, or neither of them where `otherwise` says what it then works on. */
export function checkChoice(
  action: string,
  paths: readonly string[],
  options: SelectionOptions,
  all = false,
): void {
  const named = options.fs ?? options.volume ?? options.inode;
  const ways = (paths.length > 0 ? 1 : 0) + (named === undefined ? 0 : 1) + (all ? 1 : 0);
  if (ways === 1) return;
  const found = ways === 0 ? "nothing is named" : "more than one of PATH, --fs and --all is given";
  throw new CliError(EXIT.usage, `Cannot ${action}: ${found}, want one of them`);
}

/** Runs `work` with the running daemon and the places of some paths, those within others left out. */
export function withPlaces<Result>(
  settings: Settings,
  paths: readonly string[],
  options: OriginOptions,
  work: (client: CacheClient, places: readonly Place[]) => Promise<Result>,
): Promise<Result> {
  return withOrigin(settings, options, async (session, client) => {
    const places = new Map<string, Place>();
    for (const path of argumentPaths(paths)) {
      const place = await placeOf(session.origin, path);
      places.set(place.path.toString("latin1"), place);
    }
    const outer = [...places].filter(([path]) => !parentsOf(path).some((parent) => places.has(parent)));
    return work(
      client,
      outer.map(([, place]) => place),
    );
  });
}

/** Every directory above an absolute path. */
function parentsOf(path: string): string[] {
  const parents = path === "/" ? [] : ["/"];
  for (let at = path.indexOf("/", 1); at > 0; at = path.indexOf("/", at + 1)) parents.push(path.slice(0, at));
  return parents;
}
