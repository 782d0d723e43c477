/** What `top` shows, as lines of text. Pure. */
import type { CacheStatus } from "../../engine/cache.js";
import { formatBytes, formatCount } from "../../index/core/units.js";
import { type Rates, type VolumeRate, boundOf } from "./rates.js";

export interface View {
  /** Absent before the first answer. */
  readonly status?: CacheStatus;
  /** Absent until there are two looks to compare. */
  readonly rates?: Rates;
  /** Why there is nothing new, in words. */
  readonly trouble?: string;
  /** Hit ratios of the last looks, the newest last; undefined where nothing was asked. */
  readonly history: readonly (number | undefined)[];
  readonly time: Date;
  /** Whether the terminal shows more than ASCII. */
  readonly unicode: boolean;
  readonly everySeconds: number;
}

const STEPS = "▁▂▃▄▅▆▇█";
const ASCII_STEPS = "_.-=+*#@";
const BAR = 24;
const LABEL = 10;
/** Ratios that a view needs to have. */
export const HISTORY_MAX = 60;

/** @returns at most `rows` lines of at most `columns` characters. */
export function screenLines(view: View, columns: number, rows: number): string[] {
  const { status, rates, trouble, everySeconds } = view;
  const clock = view.time.toTimeString().slice(0, 8);
  const last = `q quits; every ${everySeconds} s`;
  if (status === undefined)
    return fitted([between("tagcache", clock, columns), trouble ?? "waiting", last], columns, rows);
  const state = trouble ?? `${status.state}, pid ${status.pid}, up ${upTime(status.uptimeSeconds)}`;
  const head = [
    between(`tagcache ${status.directory}`, clock, columns),
    field("state", `${state}; policy ${status.policy}`),
    field("hits", hitText(status, rates)),
    field("", history(view)),
    field("reads", rates === undefined ? "-" : readText(rates)),
    field("writes", rates === undefined ? "-" : writeText(rates)),
    field("times", rates === undefined ? "-" : timesText(rates)),
    field("space", `${bar(status.usedBytes + status.indexBytes, status.capacityBytes)} ${spaceText(status)}`),
    field("slots", slotText(status)),
    field("headroom", headroomText(status)),
    field("culler", cullText(status, rates)),
    field("drive", driveText(status)),
    field(
      "leases",
      `${formatCount(status.leases.held)} held, ${formatCount(status.leases.waiting)} wait; pins ${formatCount(status.pins.count)}, ${formatBytes(status.pins.bytes)}`,
    ),
    "",
    `${"hits/s".padStart(10)}${"misses/s".padStart(10)}${"puts/s".padStart(10)}${"read/s".padStart(11)}${"cached".padStart(11)}  busiest volumes`,
  ];
  const room = Math.max(0, rows - head.length - 1);
  const volumes = (rates?.volumes ?? []).slice(0, room).map(volumeLine);
  const filler = Array.from({ length: Math.max(0, room - volumes.length) }, () => "");
  return fitted([...head, ...volumes, ...filler, last], columns, rows);
}

/** One look as one line, for a file or a pipe. */
export function plainLine({ status, rates, trouble, time }: View): string {
  const at = `${time.toISOString().slice(0, 19)}Z`;
  if (status === undefined || trouble !== undefined) return `${at} ${trouble ?? "waiting"}`;
  if (rates === undefined) return `${at} started, pid ${status.pid}`;
  const ratio = rates.hitRatio === undefined ? "-" : percent(rates.hitRatio);
  const bypassed = rates.bypassed.reduce((sum, [, rate]) => sum + rate, 0);
  const used = percent((status.usedBytes + status.indexBytes) / status.capacityBytes);
  return (
    `${at} hits ${ratio} ${perSecond(rates.hits)} misses ${perSecond(rates.misses)} puts ${perSecond(rates.puts)} ` +
    `read ${formatBytes(Math.round(rates.bytesHit))}/s stored ${formatBytes(Math.round(rates.bytesStored))}/s ` +
    `used ${used} culled ${perSecond(rates.culled)} bypassed ${perSecond(bypassed)} drive ${status.drive.state}`
  );
}

function field(name: string, text: string): string {
  return `${name.padEnd(LABEL)}${text}`;
}

function hitText(status: CacheStatus, rates: Rates | undefined): string {
  const now = rates?.hitRatio === undefined ? "nothing asked" : `${percent(rates.hitRatio)} now`;
  const all = status.hitRatio === undefined ? "" : `, ${percent(status.hitRatio)} since the start`;
  return `${now}${all} (${formatCount(status.hits)} hits, ${formatCount(status.misses)} misses)`;
}

function history({ history: ratios, unicode }: View): string {
  const steps = unicode ? STEPS : ASCII_STEPS;
  return ratios
    .slice(-HISTORY_MAX)
    .map((ratio) =>
      ratio === undefined ? " " : (steps[Math.min(steps.length - 1, Math.floor(ratio * steps.length))] ?? ""),
    )
    .join("");
}

function readText({ hits, misses, bytesHit }: Rates): string {
  return `${perSecond(hits)} hits, ${perSecond(misses)} misses; ${formatBytes(Math.round(bytesHit))}/s from the cache`;
}

function writeText({ puts, bytesStored, bytesWritten, bypassed }: Rates): string {
  const turned = bypassed.slice(0, 2).map(([reason, rate]) => `, ${reason} ${perSecond(rate)}`);
  return (
    `${perSecond(puts)} puts; ${formatBytes(Math.round(bytesStored))}/s stored, ` +
    `${formatBytes(Math.round(bytesWritten))}/s written${turned.join("")}`
  );
}

function timesText({ times }: Rates): string {
  const of = (name: "hit" | "miss" | "put"): string => {
    const [half, most] = [boundOf(times[name], 0.5), boundOf(times[name], 0.99)];
    return half === undefined
      ? `${name} -`
      : `${name} ${shortMs(half)}, 99 % ${most === undefined ? "long" : shortMs(most)}`;
  };
  return `half within: ${[of("hit"), of("miss"), of("put")].join("; ")}`;
}

function spaceText(status: CacheStatus): string {
  const { usedBytes, indexBytes, capacityBytes } = status;
  const index = `index ${formatBytes(indexBytes)}`;
  return `${percent((usedBytes + indexBytes) / capacityBytes)} of ${formatBytes(capacityBytes)}; ${index}`;
}

function slotText({ slots, slotsMax }: CacheStatus): string {
  const set = slots.quarantined === 0 ? "" : `, ${formatCount(slots.quarantined)} quarantined`;
  return `${formatCount(slots.used)} used, ${formatCount(slots.free)} free${set}, at most ${formatCount(slotsMax)}`;
}

function headroomText({ headroom }: CacheStatus): string {
  return `${formatBytes(headroom.bytes)} and ${formatCount(headroom.slots)} slots are kept ready for writers`;
}

function cullText(status: CacheStatus, rates: Rates | undefined): string {
  const all = `${formatCount(status.culled)} blocks in all`;
  if (rates === undefined) return all;
  const state =
    rates.culled > 0
      ? `${perSecond(rates.culled)} blocks, ${formatBytes(Math.round(rates.culledBytes))}/s`
      : "idle";
  return `${state}; ${all}${rates.inUse > 0 ? `; ${perSecond(rates.inUse)} were in use` : ""}`;
}

function driveText({ drive, health, writes }: CacheStatus): string {
  const available = percent(drive.availableBytes / Math.max(1, drive.totalBytes));
  const sick = health.state === "ok" ? "" : ", SICK: everything is bypassed";
  const day =
    writes.bytesPerDayMax === 0
      ? ""
      : `; ${formatBytes(writes.dayBytes)} of ${formatBytes(writes.bytesPerDayMax)} a day`;
  return `${drive.state}, ${available} of ${formatBytes(drive.totalBytes)} available${sick}${day}`;
}

function volumeLine({ fs, volume, hits, misses, puts, bytes, cachedBytes }: VolumeRate): string {
  const numbers = [hits, misses, puts].map((rate) => number(rate).padStart(10)).join("");
  const read = formatBytes(Math.round(bytes)).padStart(11);
  const cached = (cachedBytes === undefined ? "-" : formatBytes(cachedBytes)).padStart(11);
  return `${numbers}${read}${cached}  ${fs} ${volume}`;
}

function bar(part: number, whole: number): string {
  const full = Math.min(BAR, Math.max(0, Math.round((part / Math.max(1, whole)) * BAR)));
  return `[${"#".repeat(full)}${".".repeat(BAR - full)}]`;
}

function perSecond(rate: number): string {
  return `${number(rate)}/s`;
}

function number(rate: number): string {
  return rate > 0 && rate < 10 ? rate.toFixed(1) : formatCount(Math.round(rate));
}

function percent(ratio: number): string {
  return `${(ratio * 100).toFixed(1)} %`;
}

function shortMs(ms: number): string {
  return ms < 1 ? `${Math.round(ms * 1000)} µs` : `${ms.toFixed(ms < 10 ? 1 : 0)} ms`;
}

function upTime(seconds: number): string {
  const [days, hours, minutes] = [
    Math.floor(seconds / 86_400),
    Math.floor(seconds / 3600) % 24,
    Math.floor(seconds / 60) % 60,
  ];
  if (days > 0) return `${days} d ${hours} h`;
  return hours > 0 ? `${hours} h ${minutes} min` : `${minutes} min ${seconds % 60} s`;
}

function between(left: string, right: string, columns: number): string {
  const space = columns - width(left) - right.length;
  return space > 0 ? `${left}${" ".repeat(space)}${right}` : left;
}

function fitted(lines: readonly string[], columns: number, rows: number): string[] {
  return lines.slice(0, Math.max(1, rows)).map((line) => cut(line, columns));
}

/** A character beyond these may take two columns. */
const NARROW_MAX = 0x10ff;

function widthOf(character: string): number {
  const code = character.codePointAt(0) ?? 0;
  return code > NARROW_MAX && !(code >= 0x2000 && code < 0x2600) ? 2 : 1;
}

function width(text: string): number {
  let sum = 0;
  for (const character of text) sum += widthOf(character);
  return sum;
}

function cut(line: string, columns: number): string {
  let sum = 0;
  let kept = "";
  for (const character of line) {
    sum += widthOf(character);
    if (sum > columns) return kept;
    kept += character;
  }
  return kept;
}
