/** All commands, put together. */
import { Command } from "commander";
import { addGlobalOptions } from "./settings.js";
import { version } from "./version.js";

type Add = (program: Command) => void;

/** In the order in which they are listed. Each is loaded when it is named: all of them would take a quarter of a second. */
const COMMANDS: Readonly<Record<string, () => Promise<Add>>> = {
  serve: async () => (await import("./commands/serve.js")).addServe,
  status: async () => (await import("./commands/status.js")).addStatus,
  top: async () => (await import("./commands/top.js")).addTop,
  ping: async () => (await import("./commands/ping.js")).addPing,
  stop: async () => (await import("./commands/stop.js")).addStop,
  config: async () => (await import("./commands/config.js")).addConfig,
  warm: async () => (await import("./commands/warm.js")).addWarm,
  cat: async () => (await import("./commands/cat.js")).addCat,
  check: async () => (await import("./commands/check.js")).addCheck,
  get: async () => (await import("./commands/get.js")).addGet,
  put: async () => (await import("./commands/put.js")).addPut,
  ls: async () => (await import("./commands/ls.js")).addLs,
  explain: async () => (await import("./commands/explain.js")).addExplain,
  flush: async () => (await import("./commands/flush.js")).addFlush,
  pin: async () => (await import("./commands/pin.js")).addPin,
  unpin: async () => (await import("./commands/unpin.js")).addUnpin,
  pins: async () => (await import("./commands/pins.js")).addPins,
  cull: async () => (await import("./commands/cull.js")).addCull,
  tune: async () => (await import("./commands/tune.js")).addTune,
  trace: async () => (await import("./commands/trace.js")).addTrace,
  replay: async () => (await import("./commands/replay.js")).addReplay,
  wipe: async () => (await import("./commands/wipe.js")).addWipe,
  scrub: async () => (await import("./commands/scrub.js")).addScrub,
  fsck: async () => (await import("./commands/fsck.js")).addFsck,
  quarantine: async () => (await import("./commands/quarantine.js")).addQuarantine,
  demo: async () => (await import("./commands/demo.js")).addDemo,
};

const EXIT_HELP = `
Exit status, as in sysexits(3): 0 done, 1 answered with no (a miss, not all cached), 64 wrong command line,
65 wrong data, 66 no input, 69 no daemon, 70 a bug, 74 drive or file system failed, 75 busy or no room for
now, 78 wrong setting, config file or directory. fsck has those of fsck(8): 0, 1, 4, 8, 16, 32.

Whoever can reach the socket can read everything in the cache.`;

/**
 * Builds the command line with the commands that `args` name; with none for the version alone; with all of them if they
 * name none or ask for help.
 * Errors in it are thrown as CommanderError, after one line on stderr.
 */
export async function buildProgram(args: readonly string[] = []): Promise<Command> {
  const program = new Command("tagcache")
    .description("A local, persistent cache for 256 KiB blocks of remote files")
    .version(version(), "--version", "print the version")
    .showSuggestionAfterError(true)
    .configureHelp({ showGlobalOptions: true, helpWidth: 110 })
    .configureOutput({
      outputError: (text, write) =>
        write(
          `tagcache: ${text
            .trim()
            .replace(/^error: /, "")
            .replaceAll(/\s+/g, " ")}\n`,
        ),
    })
    .exitOverride()
    .addHelpText("after", EXIT_HELP);
  addGlobalOptions(program);
  const names = Object.keys(COMMANDS);
  const named = names.filter((name) => args.includes(name));
  const all = args.includes("help") || (named.length === 0 && args[0] !== "--version");
  const wanted = all ? names : named;
  const adds = await Promise.all(wanted.map(async (name) => COMMANDS[name]?.()));
  for (const add of adds) add?.(program);
  return program;
}
