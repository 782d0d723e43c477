/** `tagcache pins`: what is pinned, and how much of it is here. */
import type { Command } from "commander";
import type { PinStatus } from "../../engine/cache.js";
import { formatBytes } from "../../index/core/units.js";
import { withDaemon } from "../daemon.js";
import { example } from "../example.js";
import { EXIT } from "../exit-codes.js";
import { print, printJson } from "../output.js";
import { allPins, placeText } from "../pins.js";
import { settingsOf } from "../settings.js";

/** Adds the command. Exit status: 0, 69 no daemon. */
export function addPins(program: Command): void {
  program
    .command("pins")
    .description("list pins with what is cached of them, and whether they are to be fetched again")
    .option("--json", "print JSON")
    .addHelpText("after", example("tagcache pins --json", "prints every pin as JSON"))
    .action(async (options: { json?: true }, command: Command) => {
      const pins = await withDaemon(settingsOf(command), async (client) => {
        const found: PinStatus[] = [];
        for await (const pin of allPins(client)) found.push(pin);
        return found;
      });
      if (options.json) printJson(pins);
      else for (const pin of pins) print(lineOf(pin));
      process.exitCode = EXIT.ok;
    });
}

function lineOf(pin: PinStatus): string {
  const known = pin.sizeBytes === 0n ? "" : ` of ${formatBytes(Number(pin.sizeBytes))}`;
  const remarks = [
    ...(pin.refetch ? ["to be refetched"] : []),
    ...(pin.blocks > 0 && pin.protectedBytes < pin.bytes
      ? [`only ${formatBytes(pin.protectedBytes)} kept from culling: the share of pins is used up`]
      : []),
  ];
  return `${placeText(pin)}  ${formatBytes(pin.bytes)}${known} cached${remarks.map((text) => `, ${text}`).join("")}`;
}
