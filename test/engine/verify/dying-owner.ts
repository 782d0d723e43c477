/**
 * An owner that dies: opens the directory, does what it is told in JSON lines of its second argument, says what is done, and
 * kills itself.
 */
import { openCache } from "../../../engine/cache.js";
import { CAPACITY_BYTES, bytesOf, tagOf } from "../../support/temp-cache.js";

export type Deed =
  | { readonly put: number; readonly seed: number; readonly bytes: number }
  | { readonly remove: number }
  | { readonly invalidate: true }
  | { readonly cull: number }
  | { readonly untilChecked: true };

const [directory = "", onUnclean = "verify", text = "[]"] = process.argv.slice(2);
const cache = await openCache({
  directory,
  capacityBytes: CAPACITY_BYTES,
  onUnclean: onUnclean as "verify",
});
for (const deed of JSON.parse(text) as Deed[]) {
  if ("put" in deed) {
    const answer = await cache.put(tagOf(deed.put), bytesOf(deed.seed, deed.bytes));
    if (answer.kind !== "stored") throw new Error(`put answers ${JSON.stringify(answer)}`);
  } else if ("remove" in deed) await cache.remove(tagOf(deed.remove));
  else if ("invalidate" in deed) await cache.invalidate({ fs: "test", volume: "volume", inode: "file" });
  else if ("cull" in deed) await cache.cull({ usedBytesMax: deed.cull });
  else while ((await cache.status()).trust.surveying) await new Promise((resolve) => setTimeout(resolve, 5));
}
const { start, epoch } = await cache.status();
process.stdout.write(JSON.stringify({ action: start.action, reason: start.reason, epoch }));
process.kill(process.pid, "SIGKILL");
