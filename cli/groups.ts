/** Groups by name. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { errnoOf, messageOf } from "../index/core/errors.js";
import { CliError, EXIT } from "./exit-codes.js";

const LOOK_MS_MAX = 5000;
const NOT_FOUND = 2;

/** The number of a group, from wherever this machine knows groups: node has no getgrnam. @throws {CliError} 78 if there is none. */
export async function groupIdOf(name: string): Promise<number> {
  let line: string;
  try {
    const { stdout } = await promisify(execFile)("getent", ["--", "group", name], { timeout: LOOK_MS_MAX });
    line = stdout;
  } catch (error) {
    const status = (error as { code?: unknown }).code;
    const reason = status === NOT_FOUND ? "there is no such group" : (errnoOf(error) ?? messageOf(error));
    throw new CliError(EXIT.config, `Cannot use group ${JSON.stringify(name)}: ${reason}`);
  }
  const id = Number(line.split(":")[2]);
  if (!Number.isSafeInteger(id))
    throw new CliError(EXIT.config, `Cannot use group ${JSON.stringify(name)}: getent says ${line.trim()}`);
  return id;
}
