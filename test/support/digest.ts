/** What a directory holds, in one string a name: to tell whether anything in it was changed. */
import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";

/** Type, mode and content of everything below `directory`, but for files with one of the names left out. */
export function digestOf(directory: string, leftOut: readonly string[] = []): Record<string, string> {
  const digest: Record<string, string> = {};
  const names = fs.readdirSync(directory, { recursive: true, encoding: "utf8" }).toSorted();
  for (const name of names) {
    if (leftOut.includes(path.basename(name))) continue;
    const file = path.join(directory, name);
    const stats = fs.lstatSync(file);
    const kind = stats.isFile() ? hash(file) : stats.isSymbolicLink() ? fs.readlinkSync(file) : "";
    digest[name] = `${stats.mode.toString(8)} ${kind}`;
  }
  return digest;
}

function hash(file: string): string {
  return createHash("sha256").update(fs.readFileSync(file)).digest("hex");
}
