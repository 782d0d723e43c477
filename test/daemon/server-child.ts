/** A server in a process of its own, to be stopped and killed: argv is the socket path. Says "ready". */
import { silentLogger } from "../../engine/daemon/logger.js";
import { startServer } from "../../engine/daemon/server.js";
import { MemoryCache } from "../model/memory-cache.js";

const socketPath = process.argv[2] ?? "";
const server = await startServer({
  cache: new MemoryCache(),
  socketPath,
  log: silentLogger,
  version: "0",
  onStopRequest: () => {
    // Owned by this process, which ends with it.
    void server.close().then(() => process.exit(0));
  },
});
process.stdout.write("ready\n");
