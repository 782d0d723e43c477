/** Types of what a status counts, for status-codec.ts. */

const OUTCOMES = { found: "number", created: "number", invalidated: "number" } as const;
const VOLUME = {
  hits: "number",
  misses: "number",
  puts: "number",
  bytesHit: "number",
  bytesStored: "number",
} as const;
const LATENCY = { count: "number", sumMs: "number", boundsMs: "list", counts: "list" } as const;

export const COUNTS_SHAPE = {
  counters: {
    bytesHit: "number",
    bytesStored: "number",
    directHits: "number",
    readsAside: "number",
    slotWrites: "number",
    ioErrors: { read: "number", write: "number" },
    volumeAcquires: OUTCOMES,
    cookieAcquires: OUTCOMES,
    invalidations: { volumes: "number", cookies: "number" },
    relinquishes: { volumes: "number", cookies: "number", retired: "number" },
    updates: "number",
    commits: "number",
    commitFailures: "number",
    culledBytes: "number",
    reclaimed: "number",
  },
  names: { objectsKnown: "number", objectsLoaded: "number", volumesLoaded: "number" },
  latencies: { hit: LATENCY, miss: LATENCY, put: LATENCY, commit: LATENCY, cullSlice: LATENCY },
  volumes: "list",
  otherVolumes: VOLUME,
} as const;
