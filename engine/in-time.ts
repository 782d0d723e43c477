/** Waiting that has an end. */

/** @returns false if it did not end within so many milliseconds. */
export async function inTime(ended: Promise<boolean>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(resolve, ms, false);
  });
  return Promise.race([ended, late]).finally(() => clearTimeout(timer));
}
