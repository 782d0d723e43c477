/** Makes the writes of an LMDB environment that wait for the drive fail for real: those of its meta pages, by a descriptor of their own. */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";

const SELF = "/proc/self/fd";
const O_DSYNC = 0o10000;

/** The descriptors of this process for files below a directory. */
export function descriptorsBelow(directory: string): number[] {
  const real = fs.realpathSync(directory);
  return fs.readdirSync(SELF).flatMap((name) => {
    const target = linkOf(name);
    return target?.startsWith(`${real}${path.sep}`) ? [Number(name)] : [];
  });
}

/**
 * Puts a descriptor that nobody can write to in the place of the one by which the environment below this directory writes its meta pages.
 * The environment closes it with its own.
 */
export function failSyncedWrites(directory: string): void {
  const synced = descriptorsBelow(directory).filter((fd) => {
    const info = fs.readFileSync(`/proc/self/fdinfo/${fd}`, "latin1");
    return (Number.parseInt(/^flags:\s+([0-7]+)/m.exec(info)?.[1] ?? "0", 8) & O_DSYNC) !== 0;
  });
  const [fd] = synced;
  assert.ok(fd !== undefined && synced.length === 1, `${synced.length} descriptors are synced, want 1`);
  fs.closeSync(fd);
  const others: number[] = [];
  for (let taken = open(); taken !== fd; taken = open()) others.push(taken);
  for (const other of others) fs.closeSync(other);
}

const open = (): number => fs.openSync("/dev/null", "r");

function linkOf(name: string): string | undefined {
  try {
    return fs.readlinkSync(path.join(SELF, name));
  } catch {
    return undefined; // the one that read the directory
  }
}
