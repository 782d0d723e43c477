/** The config file: TOML, one level of keys, every complaint with line and column. */
import { closeSync, openSync, readSync } from "node:fs";
import type { AST } from "toml-eslint-parser";
import { ParseError, parseTOML } from "toml-eslint-parser";
import { errnoOf } from "../../index/core/errors.js";
import { CliError, EXIT } from "../exit-codes.js";
import type { Grammar, TomlKind } from "./grammar.js";
import { KEYS, type KeyName, isKeyName, readFileValue, suggestion } from "./keys.js";
import type { Layer, Setting } from "./layers.js";

const FILE_BYTES_MAX = 1024 * 1024;

/** 1-based, as editors count. */
interface Place {
  readonly line: number;
  readonly column: number;
}

/**
 * Reads a file.
 * @returns undefined when it does not exist.
 * @throws {CliError} 78 when it cannot be read, is no TOML, or has a key or a value that is none of ours.
 */
export function readConfigFile(path: string): Layer | undefined {
  const text = readText(path);
  if (text === undefined) return undefined;
  const layer = new Map<KeyName, Setting>();
  for (const node of parse(path, text).body[0].body) {
    const name = node.key.keys.map((key) => (key.type === "TOMLBare" ? key.name : key.value)).join(".");
    if (node.type === "TOMLTable")
      throw refused(path, placeOf(node), `[${name}] is a table, want keys alone`);
    if (!isKeyName(name)) {
      const hint = suggestion(name) || ', "tagcache serve --help" lists them';
      throw refused(path, placeOf(node), `unknown key ${JSON.stringify(name)}${hint}`);
    }
    const origin = `${path}:${node.loc.start.line}`;
    layer.set(name, { text: valueOf(path, name, node.value), source: "file", origin });
  }
  return layer;
}

function readText(path: string): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(readBytes(path));
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === "ENOENT" || errno === "ENOTDIR") return undefined;
    if (error instanceof CliError) throw error;
    const reason = errno === undefined || errno.startsWith("ERR_") ? "it is no UTF-8 text" : errno;
    throw new CliError(EXIT.config, `Cannot read ${path}: ${reason}`, { cause: error });
  }
}

/** A device or a pipe may have no end. */
function readBytes(path: string): Buffer {
  const descriptor = openSync(path, "r");
  try {
    const bytes = Buffer.alloc(FILE_BYTES_MAX + 1);
    let length = 0;
    for (let count = -1; count !== 0 && length < bytes.length; length += count) {
      count = readSync(descriptor, bytes, length, bytes.length - length, null);
    }
    if (length <= FILE_BYTES_MAX) return bytes.subarray(0, length);
    throw new CliError(EXIT.config, `Cannot read ${path}: it has more than ${FILE_BYTES_MAX} bytes`);
  } finally {
    closeSync(descriptor);
  }
}

function parse(path: string, text: string): AST.TOMLProgram {
  try {
    return parseTOML(text, { tomlVersion: "1.0" });
  } catch (error) {
    if (error instanceof ParseError) {
      const place = missingValue(text, error.index);
      if (place !== undefined) throw refused(path, place, 'there is no value behind "="', error);
      const what = error.message.charAt(0).toLowerCase() + error.message.slice(1);
      throw refused(path, { line: error.lineNumber, column: error.column + 1 }, what, error);
    }
    // The parser follows nested arrays by recursion.
    if (error instanceof RangeError)
      throw refused(path, { line: 1, column: 1 }, "it is nested too deep", error);
    throw error;
  }
}

/** What is missing behind a "=" is reported where the parser next found something: on another line, or at the end. */
function missingValue(text: string, index: number): Place | undefined {
  const before = text.slice(0, index).trimEnd();
  const restOfLine = text.slice(before.length).split("\n", 1).join("");
  if (!before.endsWith("=") || restOfLine.trim() !== "") return undefined;
  const lines = before.split("\n");
  return { line: lines.length, column: (lines.at(-1) ?? "").length + 1 };
}

function valueOf(path: string, key: KeyName, node: AST.TOMLContentNode): string {
  const { grammar } = KEYS[key];
  if (node.type === "TOMLArray" && grammar.readElement !== undefined) {
    return node.elements.map((element) => elementOf(path, key, element)).join(",");
  }
  const kind = kindOf(node);
  if (node.type !== "TOMLValue" || !grammar.kinds.some((wanted) => wanted === kind)) {
    throw refused(path, placeOf(node), `${key} is ${KINDS[kind]}, want ${grammar.wanted}`);
  }
  const text = node.kind === "integer" ? String(node.bigint) : String(node.value);
  const reading = readFileValue(key, text);
  if (reading.kind === "value") return reading.text;
  throw refused(path, placeOf(node), `${key} is ${JSON.stringify(text)}, want ${reading.wanted}`);
}

function elementOf(path: string, key: KeyName, node: AST.TOMLContentNode): string {
  const { readElement, wanted } = KEYS[key].grammar as Grammar & Required<Pick<Grammar, "readElement">>;
  if (node.type !== "TOMLValue" || node.kind !== "string") {
    throw refused(path, placeOf(node), `${key} has ${KINDS[kindOf(node)]} in it, want ${wanted}`);
  }
  const reading = readElement(node.value);
  if (reading.kind === "value") return reading.text;
  throw refused(
    path,
    placeOf(node),
    `${key} has ${JSON.stringify(node.value)} in it, want ${reading.wanted}`,
  );
}

const KINDS: Readonly<Record<TomlKind | "boolean" | "date" | "table", string>> = {
  string: "text",
  integer: "an integer",
  float: "a float",
  boolean: "a boolean",
  date: "a date or time",
  array: "an array",
  table: "a table",
};

function kindOf(node: AST.TOMLContentNode): keyof typeof KINDS {
  if (node.type === "TOMLArray") return "array";
  if (node.type === "TOMLInlineTable") return "table";
  return node.kind in KINDS ? (node.kind as keyof typeof KINDS) : "date";
}

function placeOf({ loc: { start } }: AST.TOMLNode): Place {
  return { line: start.line, column: start.column + 1 };
}

function refused(path: string, { line, column }: Place, what: string, cause?: Error): CliError {
  return new CliError(EXIT.config, `Cannot read ${path}:${line}:${column}: ${what}`, { cause });
}
