/** What a daemon serves its cache by: its own socket, CVMFS clients, metrics; started together and ended together. */
import type { OwnedCache } from "../engine/cache.js";
import type { CvmfsAddress } from "../engine/daemon/cvmfs/address.js";
import type { CvmfsServer, CvmfsServerOptions } from "../engine/daemon/cvmfs/server.js";
import type { MetricsAddress } from "../engine/daemon/metrics-address.js";
import type { Metrics, MetricsOptions } from "../engine/daemon/metrics.js";
import {
  type ConfigService,
  type Server,
  type ServerFigures,
  type ServerLimits,
  startServer,
} from "../engine/daemon/server.js";
import type { CliLogger } from "./log.js";
import type { StopRequests } from "./signals.js";
import { version } from "./version.js";

/** How long requests under way may take at a stop. */
const DRAIN_MS = 5000;
/** A daemon that a client started ends when nobody connects within so long. */
const FIRST_CLIENT_MS = 60_000;

export interface FrontEndOptions {
  readonly cache: OwnedCache;
  readonly config: ConfigService;
  readonly log: CliLogger;
  readonly stop: StopRequests;
  /** May use the socket. */
  readonly groupId: number | undefined;
  /** Absent for a daemon without a socket of its own. */
  readonly socketPath: string | undefined;
  /** A listening socket that was passed to this process, in place of one of that path. */
  readonly passedSocket: number | undefined;
  /** Of the socket. */
  readonly limits: ServerLimits;
  readonly cvmfs: CvmfsAddress | undefined;
  readonly metrics: MetricsAddress | undefined;
  /** A CVMFS client started this daemon: it ends with the last of them. */
  readonly supervised: boolean;
}

export interface FrontEnds {
  /** Absent for a daemon without a socket of its own. */
  readonly socketPath: string | undefined;
  /** As CVMFS clients name it, if they are served. */
  readonly locator: string | undefined;
  /** Requests that were received finish first. Idempotent. */
  close(): Promise<void>;
}

/** What metrics tell of a socket that is not there. */
const NO_FIGURES: ServerFigures = {
  connections: 0,
  accepted: 0,
  refused: 0,
  handles: 0,
  inFlight: { requests: 0, bytes: 0 },
  requests: [],
};

/** Starts all that are wanted, or none. */
export async function startFrontEnds(options: FrontEndOptions): Promise<FrontEnds> {
  const closes: Array<() => Promise<void>> = [];
  const close = async (): Promise<void> => {
    for (const end of closes.toReversed()) await end();
  };
  try {
    const server = await nativeServer(options);
    if (server !== undefined) closes.push(() => server.close({ drainMs: DRAIN_MS }));
    const cvmfs = await cvmfsServer(options);
    if (cvmfs !== undefined) closes.push(() => cvmfs.close({ drainMs: DRAIN_MS }));
    const metrics = await metricsListener(options, server);
    if (metrics !== undefined) {
      closes.unshift(() => metrics.close()); // it tells of the stop to the end
      closes.push(async () => metrics.stopping());
    }
    return { socketPath: server?.socketPath, locator: cvmfs?.locator, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function nativeServer(options: FrontEndOptions): Promise<Server | undefined> {
  const { cache, socketPath, groupId, log, stop, config, limits, passedSocket } = options;
  if (socketPath === undefined) return undefined;
  return startServer({
    cache,
    socketPath,
    ...(passedSocket !== undefined && { descriptor: passedSocket }),
    limits,
    log,
    onStopRequest: () => stop.request("a client"),
    version: version(),
    config,
    trace: cache,
    tune: cache,
    fsck: cache.fsck,
    ...(cache.direct !== undefined && { direct: cache.direct }),
    ...(groupId !== undefined && { groupId }),
  });
}

/** Loaded here, as the metrics are, because every command would start later with it. */
async function cvmfsServer({
  cache,
  cvmfs,
  log,
  stop,
  supervised,
}: FrontEndOptions): Promise<CvmfsServer | undefined> {
  if (cvmfs === undefined) return undefined;
  const { startCvmfsServer } = await import("../engine/daemon/cvmfs/server.js");
  const base: CvmfsServerOptions = { cache, address: cvmfs, log, version: version() };
  if (!supervised) return startCvmfsServer(base);
  const server = await startCvmfsServer({ ...base, onIdle: () => stop.request("no CVMFS client is left") });
  const lonely = (): void => {
    if (!server.visited) stop.request("no CVMFS client has come");
  };
  setTimeout(lonely, FIRST_CLIENT_MS).unref();
  return server;
}

async function metricsListener(
  { cache, metrics: address, log }: FrontEndOptions,
  server: Server | undefined,
): Promise<Metrics | undefined> {
  if (address === undefined) return undefined;
  const { startMetrics } = await import("../engine/daemon/metrics.js");
  const options: MetricsOptions = { cache, server: server ?? { figures: () => NO_FIGURES }, address, log };
  return startMetrics(options);
}
