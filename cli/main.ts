/** Entry of the command line: what holds for the whole process, then the one command. */
import { runCommandLine } from "./command-line.js";
import { EXIT, exitStatusOf, lineOf } from "./exit-codes.js";
import { remark } from "./output.js";

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

await runCommandLine(process.argv.slice(2));
