/** Entry of the command line: reads it, runs one command, and turns what was thrown into a line and an exit status. */
import { CommanderError } from "commander";
import { EXIT, exitStatusOf, lineOf } from "./exit-codes.js";
import { remark } from "./output.js";
import { buildProgram } from "./program.js";

// Before any file or directory is made: a cache is its owner's alone.
process.umask(0o077);

// Whoever reads us may stop reading (`tagcache cat FILE | head`); that is no failure and needs no words.
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(EXIT.ok);
    if (stream === process.stdout) remark(`Cannot write to stdout: ${error.code ?? error.message}`);
    process.exit(EXIT.io);
  });
}

// A bug ends the process with one line. Commands with something to add (serve) put their own listener first.
function endByBug(error: unknown): void {
  remark(lineOf(error));
  process.exit(exitStatusOf(error));
}
process.on("uncaughtException", endByBug);
process.on("unhandledRejection", endByBug);

try {
  await (await buildProgram(process.argv.slice(2))).parseAsync(process.argv);
} catch (error) {
  // Commander has printed its own line.
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 1 ? EXIT.usage : error.exitCode;
  else {
    remark(lineOf(error));
    process.exitCode = exitStatusOf(error);
  }
}
