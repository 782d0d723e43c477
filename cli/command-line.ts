/** Runs one command line: its words in, what was thrown turned into a line on stderr and an exit status. */
import { CommanderError } from "commander";
import { EXIT, exitStatusOf, lineOf } from "./exit-codes.js";
import { remark } from "./output.js";
import { buildProgram } from "./program.js";

/** Sets `process.exitCode`, unless the command ends well and says nothing of it. @param args without node and script. */
export async function runCommandLine(args: readonly string[]): Promise<void> {
  try {
    await (await buildProgram(args)).parseAsync(args, { from: "user" });
  } catch (error) {
    // Commander has printed its own line.
    if (error instanceof CommanderError)
      process.exitCode = error.exitCode === 1 ? EXIT.usage : error.exitCode;
    else {
      remark(lineOf(error));
      process.exitCode = exitStatusOf(error);
    }
  }
}
