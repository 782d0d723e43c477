/** `tagcache status`: what the daemon has, does and did. */
import type { Command } from "commander";
import type { CacheStatus } from "../../engine/cache.js";
import { formatBytes, formatCount } from "../../index/core/units.js";
import { withDaemon } from "../daemon.js";
import { example } from "../example.js";
import { EXIT } from "../exit-codes.js";
import { printFields, printJson } from "../output.js";
import { settingsOf } from "../settings.js";

/** Adds the command. Exit status: 0, or 69 without a daemon. */
export function addStatus(program: Command): void {
  program
    .command("status")
    .description("show size, use, hits and misses of the running cache")
    .option("--json", "print JSON")
    .addHelpText("after", example("tagcache status --json", "prints every counter as JSON"))
    .action(async (options: { json?: true }, command: Command) => {
      const status = await withDaemon(settingsOf(command), (client) => client.status());
      if (options.json) printJson(status);
      else printFields(fieldsOf(status));
      process.exitCode = EXIT.ok;
    });
}

function fieldsOf(status: CacheStatus): [string, string][] {
  const { slots } = status;
  const asked = status.hits + status.misses;
  const ratio = asked === 0 ? "" : ` (${((status.hits / asked) * 100).toFixed(1)} % hits)`;
  const bypassed = Object.entries(status.bypassed).map(
    ([reason, count]) => `${reason} ${formatCount(count)}`,
  );
  return [
    [
      "state",
      `${status.state}, pid ${status.pid}, version ${status.version}, up ${duration(status.uptimeSeconds)}`,
    ],
    ["directory", status.directory],
    ["capacity", `${formatBytes(status.capacityBytes)}, policy ${status.policy}`],
    [
      "used",
      `${share(status.usedBytes, status.capacityBytes)}, valid data ${formatBytes(status.validBytes)}`,
    ],
    ["index", `${formatBytes(status.indexBytes)} of at most ${formatBytes(status.indexBytesMax)}`],
    [
      "slots",
      `${formatCount(slots.used)} used, ${formatCount(slots.free)} free, ${formatCount(slots.quarantined)} ` +
        `quarantined, ${formatCount(slots.unknown)} not looked at, at most ${formatCount(status.slotsMax)}`,
    ],
    [
      "pins",
      `${formatCount(status.pins.count)}, ${formatBytes(status.pins.bytes)} kept from culling, at most ` +
        formatBytes(status.pins.bytesMax),
    ],
    ["requests", `${formatCount(status.hits)} hits, ${formatCount(status.misses)} misses${ratio}`],
    [
      "puts",
      `${formatCount(status.puts)}; ${formatCount(status.culled)} blocks culled, ${status.corrupt} corrupt`,
    ],
    ["bypassed", bypassed.length === 0 ? "none" : bypassed.join(", ")],
    ["start", startText(status)],
    ["epoch", `${status.epoch} of cache ${status.cacheId}`],
  ];
}

function startText({ start }: CacheStatus): string {
  const reason = start.reason === undefined ? "" : `: ${start.reason}`;
  return `${start.kind}, action ${start.action}, ${start.ms.toFixed(0)} ms${reason}`;
}

function share(bytes: number, ofBytes: number): string {
  return `${formatBytes(bytes)} (${((bytes / ofBytes) * 100).toFixed(1)} %)`;
}

function duration(seconds: number): string {
  const whole = Math.floor(seconds);
  const [days, hours, minutes] = [
    Math.floor(whole / 86_400),
    Math.floor(whole / 3600) % 24,
    Math.floor(whole / 60) % 60,
  ];
  if (days > 0) return `${days} d ${hours} h`;
  if (hours > 0) return `${hours} h ${minutes} min`;
  return minutes > 0 ? `${minutes} min ${whole % 60} s` : `${whole} s`;
}
