/** Shares of file systems and volumes as text: `FS=MIN..MAX` and `FS/VOLUME=MIN..MAX`, in percent of the capacity. */
import type { ShareRule } from "../../engine/cache.js";
import { nameText, parseNameText } from "../../index/core/names.js";
import { isCacheError } from "../../index/core/errors.js";
import { checkFsName, checkName } from "../../index/core/names.js";
import type { Reading } from "./grammar.js";

const PERCENT = String.raw`(?:(\d{1,9}(?:\.\d{1,6})?)\s*%?)?`;
const RANGE = new RegExp(String.raw`^${PERCENT}\s*\.\.\s*${PERCENT}$`);
const WANTED = "FS=MIN..MAX or FS/VOLUME=MIN..MAX (afs=10%..50%)";

/**
 * Reads rules that commas separate; none from an empty text. Commas, and slashes in a file system's name, have to be
 * written as `hex:`.
 */
export function readRules(text: string): Reading {
  const texts: string[] = [];
  for (const part of text.trim() === "" ? [] : text.split(",")) {
    const reading = readRule(part);
    if (reading.kind === "malformed") return reading;
    texts.push(reading.text);
  }
  return { kind: "value", text: texts.join(",") };
}

/** Reads one rule; its text comes back in the form in which commas may separate it from others. */
export function readRule(text: string): Reading {
  const rule = parseRule(text);
  return rule === undefined ? { kind: "malformed", wanted: WANTED } : { kind: "value", text: ruleText(rule) };
}

/** The rules of a text that readRules has returned. */
export function rulesOf(text: string): ShareRule[] {
  const rules = text === "" ? [] : text.split(",").map(parseRule);
  return rules.filter((rule) => rule !== undefined);
}

/** The last "=" ends the name, the first "/" in it divides file system and volume. */
function parseRule(text: string): ShareRule | undefined {
  const whole = text.trim();
  const equals = whole.lastIndexOf("=");
  const range = RANGE.exec(whole.slice(equals + 1).trim());
  if (equals < 1 || range === null) return undefined;
  const name = whole.slice(0, equals).trim();
  const slash = name.indexOf("/");
  const [, minimum, maximum] = range;
  const fs = nameOf(slash < 0 ? name : name.slice(0, slash), checkFsName);
  const volume = slash < 0 ? undefined : nameOf(name.slice(slash + 1), (bytes) => checkName("volume", bytes));
  if (fs === undefined || (slash >= 0 && volume === undefined)) return undefined;
  return {
    fs,
    ...(volume !== undefined && { volume }),
    ...(minimum !== undefined && { minPercent: Number(minimum) }),
    ...(maximum !== undefined && { maxPercent: Number(maximum) }),
  };
}

function nameOf(text: string, check: (bytes: Buffer) => Buffer): Buffer | undefined {
  try {
    return check(parseNameText(text));
  } catch (error) {
    if (isCacheError(error, "E_ARGUMENT")) return undefined;
    throw error;
  }
}

/** A rule as text. */
export function ruleText({ fs, volume, minPercent, maxPercent }: ShareRule): string {
  const name = volume === undefined ? partText(fs, true) : `${partText(fs, true)}/${partText(volume, false)}`;
  return `${name}=${percentText(minPercent)}..${percentText(maxPercent)}`;
}

/** As nameText, and `hex:` where the text would be read as something else: separators, spaces at the ends. */
function partText(part: ShareRule["fs"], isFs: boolean): string {
  const text = nameText(part);
  const divided = text.includes(",") || text !== text.trim() || (isFs && text.includes("/"));
  return divided ? `hex:${Buffer.from(parseNameText(text)).toString("hex")}` : text;
}

function percentText(percent: number | undefined): string {
  return percent === undefined ? "" : `${percent}%`;
}
