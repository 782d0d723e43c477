/** What a page of a file may hold, as text, so that possibilities are sets; and what calls in any order make of it. Pure. */
import { PAGE_BYTES } from "../../index/core/layout.js";
import { bytesOf } from "../support/temp-cache.js";

/**
 * The known bytes of a page from its start: `100:5,4096:7` has bytes 0 to 99 of version 5 and the others of version 7.
 * Version 0 is zeros. The empty text is a page that is not cached.
 */
export type Content = string;
export const NOTHING: Content = "";
export const ZEROS = 0;
/** Between two marks of the place in a page's bytes. */
const MARK_EVERY_BYTES = 32;

/** What a call does to a page. All numbers are bytes within it; `size` says how many belong to the file. */
export type Effect =
  | { readonly kind: "write"; readonly from: number; readonly to: number; readonly version: number }
  | { readonly kind: "size"; readonly end: number }
  | { readonly kind: "gone" };

interface State {
  readonly content: Content;
  /** How many bytes of the page belong to the file. */
  readonly end: number;
}

export function endOf(content: Content): number {
  return content === NOTHING ? 0 : Number(content.slice(content.lastIndexOf(",") + 1).split(":")[0]);
}

/**
 * All that may come of it when the effects take place one after the other, in any order that explains why all were stored.
 * @returns `last`, with all effects, and `seen`, what a look in between may find.
 */
export function orders(
  start: Iterable<Content>,
  endBefore: number,
  effects: readonly Effect[],
): { readonly last: State[]; readonly seen: Set<Content> } {
  const all = 2 ** effects.length - 1;
  const todo = [...start].map((content) => ({ content, end: endBefore, done: 0 }));
  const visited = new Set<string>();
  const last: State[] = [];
  for (const { content, end, done } of todo) {
    const key = `${done}/${end}/${content}`;
    if (visited.has(key)) continue;
    visited.add(key);
    if (done === all) last.push({ content, end });
    for (const [number, effect] of effects.entries()) {
      const next = (done & (1 << number)) === 0 ? apply({ content, end }, effect) : undefined;
      if (next !== undefined) todo.push({ ...next, done: done | (1 << number) });
    }
  }
  return { last, seen: new Set(todo.map(({ content }) => content)) };
}

/** @returns undefined where a write could not have been stored. */
function apply({ content, end }: State, effect: Effect): State | undefined {
  switch (effect.kind) {
    case "gone":
      return { content: NOTHING, end };
    case "size":
      return { content: cut(content, effect.end), end: effect.end };
    case "write": {
      const { from, to, version } = effect;
      if (from > endOf(content) || to > end) return undefined;
      return { content: join([...partsOf(cut(content, from)), [to, version], ...behind(content, to)]), end };
    }
  }
}

/** The bytes of a content, as many as are known; `page` is its number in its file. */
export function bytesOfContent(content: Content, page: number): Buffer {
  const bytes = Buffer.alloc(endOf(content));
  let at = 0;
  for (const [end, version] of partsOf(content)) {
    pageBytes(version, page).copy(bytes, at, at, end);
    at = end;
  }
  return bytes;
}

/** A page of a version: no two are alike, and no two places in it. */
export function pageBytes(version: number, page: number): Buffer {
  if (version === ZEROS) return Buffer.alloc(PAGE_BYTES);
  const bytes = bytesOf(version * 10_000 + page, PAGE_BYTES);
  for (let at = 0; at < PAGE_BYTES; at += MARK_EVERY_BYTES) bytes.writeUInt16LE(at, at);
  return bytes;
}

function partsOf(content: Content): Array<readonly [end: number, version: number]> {
  if (content === NOTHING) return [];
  return content.split(",").map((part) => {
    const [end, version] = part.split(":");
    return [Number(end), Number(version)];
  });
}

function behind(content: Content, from: number): Array<readonly [end: number, version: number]> {
  return partsOf(content).filter(([end]) => end > from);
}

function cut(content: Content, to: number): Content {
  const kept: Array<readonly [end: number, version: number]> = [];
  let at = 0;
  for (const [end, version] of partsOf(content)) {
    if (at < to) kept.push([Math.min(end, to), version]);
    at = end;
  }
  return join(kept);
}

function join(parts: ReadonlyArray<readonly [end: number, version: number]>): Content {
  return parts
    .filter(([, version], place) => parts[place + 1]?.[1] !== version)
    .map(([end, version]) => `${end}:${version}`)
    .join(",");
}
