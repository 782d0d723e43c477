/** Work on many things at a time, but not on too many. */

/** Files in flight at a time: enough to hide round trips (more gained nothing), and at most 1 MiB of each is in memory. */
export const FILES_IN_FLIGHT_MAX = 32;

/**
 * Runs `work` for every item, at most `limit` at a time; takes the next item only when one is done. The first failure
 * stops the taking, and is thrown when those under way have ended.
 */
export async function forEachConcurrent<Item>(
  items: AsyncIterable<Item> | Iterable<Item>,
  limit: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const running = new Set<Promise<void>>();
  let failure: { readonly error: unknown } | undefined;
  for await (const item of items) {
    const task = work(item)
      .catch((error: unknown) => {
        failure ??= { error };
      })
      .finally(() => running.delete(task));
    running.add(task);
    if (running.size >= limit) await Promise.race(running);
    if (failure !== undefined) break;
  }
  await Promise.all(running);
  if (failure !== undefined) throw failure.error;
}
