/** Pins as the commands show and use them. */
import type { PinStatus, Selector } from "../engine/cache.js";
import type { CacheClient } from "../engine/daemon/client.js";
import { ORIGIN_FS } from "../engine/origin/origin.js";
import { joinPath } from "../engine/origin/paths.js";
import { nameText } from "../index/core/names.js";

const SLASH = 0x2f;

/** All pins, page by page. */
export async function* allPins(client: CacheClient): AsyncGenerator<PinStatus> {
  for (let after = 0, more = true; more;) {
    const page = await client.pins({ after });
    yield* page.pins;
    after = page.pins.at(-1)?.id ?? after;
    more = page.more;
  }
}

/**
 * The path on this machine that a pin is about; undefined for one of another origin.
 * @param named origins by name, whose volumes are no paths.
 */
export function pathOf(
  { fs, volume, inode, inodePrefix }: PinStatus,
  named: readonly { readonly name: Buffer; readonly path: Buffer }[] = [],
): Buffer | undefined {
  if (!fs.equals(Buffer.from(ORIGIN_FS))) return undefined;
  const root =
    named.find(({ name }) => name.equals(volume))?.path ?? (volume[0] === SLASH ? volume : undefined);
  if (root === undefined || (inode === undefined && inodePrefix === undefined)) return root;
  // A tree of this origin is what lies below a directory.
  const directory = inodePrefix?.at(-1) === SLASH ? inodePrefix.subarray(0, -1) : undefined;
  const below = inode ?? directory;
  return below === undefined ? undefined : joinPath(root, below);
}

/** A pin's place in one word: a path where it has one, else its names. */
export function placeText(pin: PinStatus): string {
  const { fs, volume, inode, inodePrefix } = pin;
  const path = pathOf(pin);
  const below = inode ?? inodePrefix;
  const names = [fs, volume, ...(below === undefined ? [] : [below])].map(nameText).join(" ");
  const text = path === undefined ? names : nameText(path);
  return inode === undefined ? `${text} (${inodePrefix === undefined ? "volume" : "tree"})` : text;
}

/** What a pin is about, as it was given. */
export function selectorOf({ fs, volume, inode, inodePrefix }: PinStatus): Selector {
  if (inode !== undefined) return { fs, volume, inode };
  return inodePrefix === undefined ? { fs, volume } : { fs, volume, inodePrefix };
}
