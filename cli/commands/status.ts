/** `tagcache status`: what the daemon has, does and did. */
import type { Command } from "commander";
import type { CacheStatus, ShareStatus, VolumeStatus } from "../../engine/cache.js";
import { formatBytes, formatCount } from "../../index/core/units.js";
import { withDaemon } from "../daemon.js";
import { example } from "../example.js";
import { EXIT } from "../exit-codes.js";
import { printFields, printJson } from "../output.js";
import { settingsOf } from "../settings.js";

/** A name of any length must not break the table. */
const NAME_MAX = 40;
/** The busiest; --json has more. */
const SHOWN_VOLUMES = 3;

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
      else printFields(statusFields(status));
      process.exitCode = EXIT.ok;
    });
}

/** Names and values, each within 100 columns unless the directory is long. */
export function statusFields(status: CacheStatus): [string, string][] {
  const { slots } = status;
  const notCulled = status.notCulled.inUse;
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
    ["headroom", headroomText(status)],
    ["drive", driveText(status)],
    ["health", healthText(status)],
    ...status.shares.map((rule, index): [string, string] => [index === 0 ? "shares" : "", shareText(rule)]),
    [
      "pins",
      `${formatCount(status.pins.count)}, ${formatBytes(status.pins.bytes)} kept from culling, at most ` +
        formatBytes(status.pins.bytesMax),
    ],
    [
      "open",
      `${formatCount(status.holds.files)} files; ${formatBytes(status.holds.keptBytes)} kept from culling with pins, ` +
        `at most ${formatBytes(status.holds.bytesMax)}`,
    ],
    ["requests", `${formatCount(status.hits)} hits, ${formatCount(status.misses)} misses${ratio}`],
    [
      "puts",
      `${formatCount(status.puts)}; ${formatCount(status.culled)} blocks culled` +
        `${notCulled === 0 ? "" : ` (${formatCount(notCulled)} times one was in use)`}, ${status.corrupt} corrupt`,
    ],
    [
      "bytes",
      `${formatBytes(status.counters.bytesHit)} from hits, ${formatBytes(status.counters.bytesStored)} stored, ` +
        `${formatBytes(status.counters.culledBytes)} culled`,
    ],
    ...status.volumes
      .slice(0, SHOWN_VOLUMES)
      .map((volume): [string, string] => ["volume", volumeText(volume)]),
    ["writes", writesText(status)],
    ["bypassed", bypassed.length === 0 ? "none" : bypassed.join(", ")],
    ["start", startText(status)],
    ["unchecked", trustText(status)],
    ["epoch", `${status.epoch} of cache ${status.cacheId}`],
  ];
}

function headroomText({ headroom }: CacheStatus): string {
  return `${formatBytes(headroom.bytes)} and ${formatCount(headroom.slots)} slots are kept ready for writers`;
}

function driveText({ drive }: CacheStatus): string {
  const bytes = `${percent(drive.availableBytes, drive.totalBytes)} of ${formatBytes(drive.totalBytes)} available`;
  const inodes = `${percent(drive.availableInodes, drive.totalInodes)} of ${formatCount(drive.totalInodes)} inodes`;
  return `${drive.state}, ${bytes}${drive.totalInodes === 0 ? "" : `, ${inodes}`}`;
}

function shareText({ fs, volume, minBytes, maxBytes, usedBytes }: ShareStatus): string {
  const name = volume === undefined ? fs : `${fs}/${volume}`;
  const least = minBytes === undefined ? "" : `, at least ${formatBytes(minBytes)}`;
  const most = maxBytes === undefined ? "" : `, at most ${formatBytes(maxBytes)}`;
  return `${cut(name)}: ${formatBytes(usedBytes)} used${least}${most}`;
}

function writesText({ writes }: CacheStatus): string {
  const { slotBytes, amplification, bytesPerSecondMax, bytesPerDayMax, dayBytes, rejected, rejectedBytes } =
    writes;
  const times = amplification === undefined ? "" : ` (${amplification.toFixed(2)} for each stored)`;
  const limits = [
    ...(bytesPerSecondMax > 0 ? [`at most ${formatBytes(bytesPerSecondMax)} a second`] : []),
    ...(bytesPerDayMax > 0
      ? [`${formatBytes(dayBytes)} of at most ${formatBytes(bytesPerDayMax)} a day`]
      : []),
  ];
  const spared = rejected === 0 ? [] : [`${formatCount(rejected)} spared, ${formatBytes(rejectedBytes)}`];
  return [`${formatBytes(slotBytes)} to slots${times}`, ...limits, ...spared].join("; ");
}

function healthText({ health }: CacheStatus): string {
  const rule = `${health.slotsMax} slots within ${health.windowMs / 1000} s make it sick`;
  if (health.state === "ok") return `ok, ${formatCount(health.errors)} errors of the drive (${rule})`;
  return (
    `sick: everything is bypassed; ${health.probesGood} of ${health.probesWanted} good probes, ` +
    `one every ${health.probeEveryMs / 1000} s`
  );
}

function volumeText({ fs, volume, hits, misses, cachedBytes }: VolumeStatus): string {
  const cached = cachedBytes === undefined ? "" : `, ${formatBytes(cachedBytes)} cached`;
  return `${cut(`${fs} ${volume}`)}: ${formatCount(hits)} hits, ${formatCount(misses)} misses${cached}`;
}

function cut(name: string): string {
  return name.length <= NAME_MAX ? name : `${name.slice(0, NAME_MAX - 1)}…`;
}

function startText({ start }: CacheStatus): string {
  const reason = start.reason === undefined ? "" : `: ${start.reason}`;
  return `${start.kind}, action ${start.action}, ${start.ms.toFixed(0)} ms${reason}`;
}

function trustText({ trust }: CacheStatus): string {
  const { uncheckedBlocks, surveying, onUnclean, scrub } = trust;
  const found = surveying ? ", and slots are still being told from the index" : "";
  const scrubbing =
    scrub.state === "running" ? `; scrubbing, ${formatCount(scrub.blocks)} blocks so far` : "";
  return `${formatCount(uncheckedBlocks)} blocks of before an unclean end${found}${scrubbing}; on-unclean ${onUnclean}`;
}

function share(bytes: number, ofBytes: number): string {
  return `${formatBytes(bytes)} (${percent(bytes, ofBytes)})`;
}

function percent(part: number, whole: number): string {
  return `${(whole === 0 ? 0 : (part / whole) * 100).toFixed(1)} %`;
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
