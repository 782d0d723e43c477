import { startTestServer } from "../daemon/with-server.js";
import { conformance } from "./conformance.js";

conformance("the daemon's client over the model", async () => {
  const { connect, done } = await startTestServer();
  return { cache: await connect(), done };
});
