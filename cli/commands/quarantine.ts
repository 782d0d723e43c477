/** `tagcache quarantine`: slots that the running daemon has set aside. */
import type { Command } from "commander";
import type { CacheClient } from "../../engine/daemon/client.js";
import type { QuarantinedSlot, RetryReport } from "../../engine/quarantine-api.js";
import { formatBytes, formatCount } from "../../index/core/units.js";
import { withDaemon } from "../daemon.js";
import { example } from "../example.js";
import { CliError, EXIT } from "../exit-codes.js";
import { print, printJson } from "../output.js";
import { settingsOf } from "../settings.js";

interface ListOptions {
  readonly json?: true;
}

interface SlotOptions extends ListOptions {
  readonly all?: true;
}

/** A slot is written, synced and read back; a drive that is slow is waited for. */
const DEADLINE_MS = 60_000;

/** Adds the command and those below it. Exit status: as theirs, 64 without one. */
export function addQuarantine(program: Command): void {
  const quarantine = program
    .command("quarantine")
    .description("list slots that were set aside after trouble, try them anew, or give them up")
    .addHelpText("after", example("tagcache quarantine retry --all", "whatever works again is used again"));
  addList(quarantine);
  addRetry(quarantine);
  addRelease(quarantine);
}

/** Exit status: 0 listed, 69 no daemon. */
function addList(quarantine: Command): void {
  quarantine
    .command("list")
    .description("show each slot that is set aside, what it counts as, and what lies under its name")
    .option("--json", "print JSON")
    .addHelpText("after", example("tagcache quarantine list", "one line a slot"))
    .action(async ({ json }: ListOptions, command: Command) => {
      const slots = await withDaemon(settingsOf(command), listAll);
      if (json) printJson({ slots });
      else for (const slot of slots) print(lineOf(slot));
      if (!json && slots.length === 0) print("No slot is set aside");
    });
}

/** Exit status: 0 all are free, 1 some are not, 64 not in quarantine, 69 no daemon. */
function addRetry(quarantine: Command): void {
  slotsOptions(
    quarantine
      .command("retry")
      .description("write slots whole, read them back, and use again what works")
      .addHelpText("after", example("tagcache quarantine retry 17 18", "or --all")),
  ).action(async (names: string[], options: SlotOptions, command: Command) => {
    const reports = await eachSlot(command, names, options, (client, slot) =>
      client.fsck.quarantine.retry(slot),
    );
    if (options.json) printJson({ slots: reports });
    else for (const report of reports) print(outcomeOf(report));
    process.exitCode = reports.every(({ free }) => free) ? EXIT.ok : EXIT.negative;
  });
}

/** Exit status: 0 given up, 64 not in quarantine, 69 no daemon, 74 a file can't be removed. */
function addRelease(quarantine: Command): void {
  slotsOptions(
    quarantine
      .command("release")
      .description(
        "give slots up for good: their files are removed, their numbers never used again, and others may take their room",
      )
      .addHelpText("after", example("tagcache quarantine release 17", "or --all")),
  ).action(async (names: string[], options: SlotOptions, command: Command) => {
    const slots = await eachSlot(command, names, options, async (client, slot) => {
      await client.fsck.quarantine.release(slot);
      return slot;
    });
    if (options.json) printJson({ released: slots });
    else print(`Released ${formatCount(slots.length)} slots`);
  });
}

function slotsOptions(command: Command): Command {
  return command
    .argument("[slots...]", "numbers, as list shows them")
    .option("--all", "every slot that is set aside")
    .option("--json", "print JSON");
}

/** What is wrong with the command line is found before anything is done. */
async function eachSlot<T>(
  command: Command,
  names: readonly string[],
  { all }: SlotOptions,
  body: (client: CacheClient, slot: number) => Promise<T>,
): Promise<T[]> {
  if ((all === true) === names.length > 0)
    throw new CliError(EXIT.usage, "Cannot tell which slots: want numbers, or --all");
  const numbers = names.map(slotOf);
  return withDaemon(
    settingsOf(command),
    async (client) => {
      const known = (await listAll(client)).map(({ slot }) => slot);
      const unknown = numbers.find((slot) => !known.includes(slot));
      if (unknown !== undefined)
        throw new CliError(EXIT.usage, `Cannot find slot ${unknown} in quarantine: see "quarantine list"`);
      const done: T[] = [];
      for (const slot of all ? known : new Set(numbers)) done.push(await body(client, slot));
      return done;
    },
    { deadlineMs: DEADLINE_MS },
  );
}

async function listAll(client: CacheClient): Promise<QuarantinedSlot[]> {
  const slots: QuarantinedSlot[] = [];
  for (;;) {
    const after = slots.at(-1)?.slot;
    const page = await client.fsck.quarantine.list(after === undefined ? {} : { after });
    slots.push(...page.slots);
    if (!page.more) return slots;
  }
}

function slotOf(name: string): number {
  if (/^(0|[1-9][0-9]{0,9})$/.test(name)) return Number(name);
  throw new CliError(EXIT.usage, `Cannot use slot ${JSON.stringify(name)}: want a number, as list shows it`);
}

function lineOf({ slot, bytes, file }: QuarantinedSlot): string {
  return `${slot}: counts ${formatBytes(bytes)}, its file is ${file}`;
}

function outcomeOf({ slot, free, reason }: RetryReport): string {
  return free ? `${slot}: free` : `${slot}: still set aside: ${reason}`;
}
