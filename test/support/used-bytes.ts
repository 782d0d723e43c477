/** What the process holds in memory, garbage left out. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** Heap and what hangs at it, buffers among that; collects garbage first. */
export function usedBytes(): number {
  collect();
  collect(); // memory of dead buffers is given up beside the program, and counted until the next collection
  const { heapUsed, external } = process.memoryUsage(); // arrayBuffers is a part of external
  return heapUsed + external;
}
