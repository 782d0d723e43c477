/** better-sqlite3: blocks as blobs of one table, with what its users set for a cache. */
import path from "node:path";
import { peerModule } from "./peer-modules.js";
import type { Store } from "./store.js";

interface Statement {
  run(...values: readonly unknown[]): unknown;
  get(...values: readonly unknown[]): Record<string, Buffer> | undefined;
}

interface Database {
  pragma(text: string): unknown;
  exec(text: string): unknown;
  prepare(text: string): Statement;
  close(): void;
}

type Sqlite = new (file: string) => Database;

/** @returns the store, or why there is none. */
export function sqliteStore(directory: string): Store | string {
  const found = peerModule<Sqlite>("better-sqlite3");
  if (typeof found === "string") return found;
  let database: Database;
  try {
    database = new found.module(path.join(directory, "blocks.sqlite"));
  } catch (error) {
    // Its binary is looked for only now.
    return `better-sqlite3 does not run (${(error as Error).message.split("\n")[0]})`;
  }
  database.pragma("journal_mode = WAL");
  database.pragma("synchronous = OFF");
  database.pragma("busy_timeout = 10000");
  database.exec("CREATE TABLE IF NOT EXISTS blocks (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL)");
  const put = database.prepare("INSERT OR REPLACE INTO blocks (id, bytes) VALUES (?, ?)");
  const get = database.prepare("SELECT bytes FROM blocks WHERE id = ?");
  const range = database.prepare("SELECT substr(bytes, ?, ?) AS bytes FROM blocks WHERE id = ?");
  // Blobs come in buffers of their own, so `into` is not needed: its users take them as they are.
  return {
    name: "sqlite",
    put: (index, bytes) => void put.run(index, bytes),
    get: (index, into) => get.get(index)?.["bytes"]?.length === into.length,
    range: (index, offsetBytes, into) =>
      range.get(offsetBytes + 1, into.length, index)?.["bytes"]?.length === into.length,
    close: () => database.close(),
  };
}
