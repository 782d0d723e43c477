/** Paths as raw bytes: Linux file names need not be UTF-8. */
import { realpath } from "node:fs/promises";

const SLASH = 0x2f;

/** Directory and name, joined. */
export function joinPath(directory: Buffer, name: Buffer): Buffer {
  if (directory.length === 1 && directory[0] === SLASH) return Buffer.concat([directory, name]);
  return Buffer.concat([directory, Buffer.from("/"), name]);
}

/** Whether `path` is `root` or lies below it; both absolute and without a trailing slash. */
export function isWithin(root: Buffer, path: Buffer): boolean {
  if (root.length === 1) return path[0] === SLASH;
  if (path.length === root.length) return path.equals(root);
  return path[root.length] === SLASH && path.subarray(0, root.length).equals(root);
}

/** The part of `path` below `root`, without a leading slash; empty for the root itself. */
export function pathBelow(root: Buffer, path: Buffer): Buffer {
  return path.subarray(root.length === 1 ? 1 : Math.min(root.length + 1, path.length));
}

/**
 * The absolute path of what a user named: links among its parents are resolved, the last component is left as it is,
 * so that a link can be seen as one. A path that ends in "/", "/." or "/.." is resolved whole.
 * @throws the errno of realpath(3) when a parent does not exist.
 */
export async function absolutePath(path: Buffer): Promise<Buffer> {
  const slash = path.lastIndexOf(SLASH);
  const name = path.subarray(slash + 1);
  if (["", ".", ".."].includes(name.toString("latin1"))) {
    return await realpath(path.length === 0 ? "." : path, "buffer");
  }
  const parent = slash < 0 ? Buffer.from(".") : slash === 0 ? Buffer.from("/") : path.subarray(0, slash);
  return joinPath(await realpath(parent, "buffer"), name);
}
