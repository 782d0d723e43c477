import { MemoryCache } from "../model/memory-cache.js";
import { conformance } from "./conformance.js";

conformance("the model", async () => ({ cache: new MemoryCache() }));
