/** Of the caches whose power is cut: so large that nothing is culled, and small enough for a small disk. */
export const LIMITS = { capacityBytes: 96 * 1024 * 1024, slotsMax: 2048 } as const;
