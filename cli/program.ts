/** All commands, put together. */
import { Command } from "commander";
import { addCat } from "./commands/cat.js";
import { addCheck } from "./commands/check.js";
import { addConfig } from "./commands/config.js";
import { addCull } from "./commands/cull.js";
import { addDemo } from "./commands/demo.js";
import { addExplain } from "./commands/explain.js";
import { addFlush } from "./commands/flush.js";
import { addFsck } from "./commands/fsck.js";
import { addGet } from "./commands/get.js";
import { addLs } from "./commands/ls.js";
import { addPin } from "./commands/pin.js";
import { addPing } from "./commands/ping.js";
import { addPins } from "./commands/pins.js";
import { addPut } from "./commands/put.js";
import { addServe } from "./commands/serve.js";
import { addStatus } from "./commands/status.js";
import { addStop } from "./commands/stop.js";
import { addUnpin } from "./commands/unpin.js";
import { addWarm } from "./commands/warm.js";
import { addWipe } from "./commands/wipe.js";
import { addGlobalOptions } from "./settings.js";
import { version } from "./version.js";

const EXIT_HELP = `
Exit status, as in sysexits(3): 0 done, 1 answered with no (a miss, not all cached), 64 wrong command line,
65 wrong data, 66 no input, 69 no daemon, 70 a bug, 74 drive or file system failed, 75 busy or no room for
now, 78 wrong setting, config file or directory. fsck has those of fsck(8): 0, 4, 8, 16.

Whoever can reach the socket can read everything in the cache.`;

/** Builds the command line. Errors in it are thrown as CommanderError, after one line on stderr. */
export function buildProgram(): Command {
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
  const commands = [
    [addServe, addStatus, addPing, addStop, addConfig],
    [addWarm, addCat, addCheck, addGet, addPut],
    [addLs, addExplain, addFlush, addPin, addUnpin, addPins],
    [addCull, addWipe, addFsck, addDemo],
  ];
  for (const add of commands.flat()) add(program);
  return program;
}
