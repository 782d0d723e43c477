/** What the commands that take paths share: paths as bytes, origins by name, a session with the daemon. */
import { readFileSync } from "node:fs";
import { realpath } from "node:fs/promises";
import type { Command } from "commander";
import type { CacheClient } from "../engine/daemon/client.js";
import { Origin } from "../engine/origin/origin.js";
import { OriginSession } from "../engine/origin/session.js";
import { errnoOf, messageOf } from "../index/core/errors.js";
import { parseNameText } from "../index/core/names.js";
import { withDaemon } from "./daemon.js";
import { CliError, EXIT } from "./exit-codes.js";
import type { Settings } from "./settings.js";

export interface OriginOptions {
  readonly origin: readonly string[];
}

/** Declares --origin, which may be given several times. */
export function addOriginOption(command: Command): Command {
  return command.option(
    "--origin <name=path>",
    "give the files below a directory a volume name of their own, whatever file system they are on",
    (value: string, previous: readonly string[]) => [...previous, value],
    [],
  );
}

/** Runs `work` with the running daemon and the file systems of this machine. */
export async function withOrigin<Result>(
  settings: Settings,
  options: OriginOptions,
  work: (session: OriginSession, client: CacheClient) => Promise<Result>,
  connection: { readonly deadlineMs?: number } = {},
): Promise<Result> {
  const named = await Promise.all(options.origin.map(parseOrigin));
  const run = async (client: CacheClient): Promise<Result> => {
    const ownDirectories = await directoriesOf(settings, client);
    const session = new OriginSession(client, new Origin({ named, ownDirectories }));
    try {
      return await work(session, client);
    } finally {
      await session.close();
    }
  };
  return await withDaemon(settings, run, connection);
}

/** The cache's own directories as the daemon and the settings name them; those that exist here. */
async function directoriesOf(settings: Settings, client: CacheClient): Promise<Buffer[]> {
  const { directory } = await client.status();
  const paths = [directory, settings.directory, settings.stateDirectory].filter((path) => path !== undefined);
  const found: Buffer[] = [];
  for (const path of paths) {
    try {
      found.push(await realpath(path, "buffer"));
    } catch (error) {
      // With --socket the daemon may run elsewhere, and the default directory need not exist.
      if (errnoOf(error) !== "ENOENT") throw error;
    }
  }
  return found;
}

async function parseOrigin(text: string): Promise<{ name: Buffer; path: Buffer }> {
  const equals = text.indexOf("=");
  if (equals < 1 || equals === text.length - 1) {
    throw new CliError(EXIT.usage, `Cannot use --origin "${text}": want NAME=PATH`);
  }
  const path = text.slice(equals + 1);
  try {
    return { name: parseNameText(text.slice(0, equals)), path: await realpath(path, "buffer") };
  } catch (error) {
    throw new CliError(EXIT.noInput, `Cannot use --origin "${text}": ${messageOf(error)}`, { cause: error });
  }
}

/**
 * The paths of a command line as bytes. Node decodes arguments as UTF-8 and loses what is not; the kernel still has
 * the bytes.
 */
export function argumentPaths(paths: readonly string[]): Buffer[] {
  if (!paths.some((path) => path.includes("\uFFFD"))) return paths.map((path) => Buffer.from(path));
  const raw = readFileSync("/proc/self/cmdline", "latin1")
    .split("\0")
    .map((text) => Buffer.from(text, "latin1"));
  return paths.map((path) => raw.find((bytes) => bytes.toString() === path) ?? Buffer.from(path));
}
