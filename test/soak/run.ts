/**
 * `make soak`: SOAK_SECONDS (1800) of mixed load from SOAK_CLIENTS (8) processes; SOAK_SEED repeats the choices, but not the times;
 * SOAK_JSON names a file for the report. Exit status: 0 all well, 1 something is not, 64 a wrong setting.
 */
import { randomInt } from "node:crypto";
import fs from "node:fs";
import { tmpdir } from "node:os";
import { reportLines } from "./report.js";
import { soak, withSoakPlace } from "./soak.js";

/** A session is to be long enough to tell whether memory stays flat. */
const SESSION_SECONDS = 360;
const SESSIONS_MAX = 10;
const SESSIONS_MIN = 3;
/** What the clients store is several times that. */
const CAPACITIES = [64, 48, 80];

function numberOf(name: string, usual: number, least: number, most: number): number {
  const text = process.env[name] ?? "";
  if (text === "") return usual;
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least && value <= most) return value;
  console.error(`soak: ${name} is ${JSON.stringify(text)}, want a whole number from ${least} to ${most}`);
  process.exit(64);
}

const seconds = numberOf("SOAK_SECONDS", 1800, 3, 1_000_000);
const clients = numberOf("SOAK_CLIENTS", 8, 1, 64);
const seed = numberOf("SOAK_SEED", randomInt(2 ** 31), 0, 2 ** 31);
const json = process.env["SOAK_JSON"] ?? "";
const sessions = Math.min(SESSIONS_MAX, Math.max(SESSIONS_MIN, Math.floor(seconds / SESSION_SECONDS)));

const report = await withSoakPlace(process.env["SOAK_DIR"] ?? tmpdir(), (place) =>
  soak({
    place,
    seconds,
    clients,
    sessions,
    seed,
    capacities: CAPACITIES,
    onProgress: (line) => console.log(line),
  }),
);
console.log("");
for (const line of reportLines(report)) console.log(line);
if (json !== "") fs.writeFileSync(json, `${JSON.stringify(report, null, 2)}\n`);
process.exitCode = report.failures.length === 0 ? 0 : 1;
