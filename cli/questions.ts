/** Questions to whoever sits at the terminal. */
import { createInterface } from "node:readline/promises";
import { CliError, EXIT } from "./exit-codes.js";

/** Whether the answer is yes. @throws {CliError} 64 with `refusal` off a terminal. */
export async function askYes(question: string, refusal: string): Promise<boolean> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) throw new CliError(EXIT.usage, refusal);
  const ask = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(?:es)?$/i.test((await ask.question(`${question} [y/N] `)).trim());
  } finally {
    ask.close();
  }
}
