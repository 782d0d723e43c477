/** The part of `--help` that shows a command in use. */

/** Text for addHelpText("after"): one example with what it does. */
export function example(commandLine: string, effect: string): string {
  return `\nExample:\n  ${commandLine}\n      ${effect}`;
}
