/** How many slot files may be open at a time: a quarter of what the process may open, within bounds. */
import fs from "node:fs";

const DESCRIPTORS_MIN = 64;
const DESCRIPTORS_MAX = 16_384;
const SHARE = 0.25;

export function descriptorsMax(limitsText = fs.readFileSync("/proc/self/limits", "latin1")): number {
  const soft = Number(/^Max open files\s+([0-9]+)/m.exec(limitsText)?.[1] ?? Number.NaN);
  // "unlimited" is no number.
  if (Number.isNaN(soft)) return DESCRIPTORS_MAX;
  return Math.min(DESCRIPTORS_MAX, Math.max(DESCRIPTORS_MIN, Math.floor(soft * SHARE)));
}
