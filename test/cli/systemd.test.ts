/** `serve` as a service: a socket that was passed, and a manager that wants to know. Python plays systemd: Node can't. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, lstatSync, readFileSync, writeFileSync } from "node:fs";
import { type Socket, connect as connectSocket } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import { connect } from "../../engine/daemon/client.js";
import { pause, until } from "../support/temp-cache.js";
import { MAIN, run, withDirectory } from "./run-cli.js";

const systemd = suite("a service");

const has = (program: string, ...args: string[]): boolean => spawnSync(program, args).status === 0;
/** A test that needs a program, skipped where there is none. */
function where(program: string, name: string, body: () => Promise<void>): void {
  if (has(program, "--version")) systemd(name, body);
  else systemd.skip(name, body);
}

/**
 * argv: what to pass ("unix", "tcp", "file", "none"), the socket's path, that of the manager's socket, the log of what it is
 * told, and the command. As systemd does: descriptor 3, LISTEN_PID of the very process, no name removed afterwards.
 */
const MANAGER = `
import os, select, socket, sys
kind, path, told_at, told_log, *command = sys.argv[1:]
told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
told.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
told.bind(told_at)
passed = None
if kind == "unix":
    passed = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    passed.bind(path)
    passed.listen(64)
elif kind == "tcp":
    passed = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    passed.bind(("127.0.0.1", 0))
    passed.listen(64)
elif kind == "file":
    passed = open(told_log, "a")
pid = os.fork()
if pid == 0:
    environment = dict(os.environ, NOTIFY_SOCKET=told_at)
    if passed is not None:
        environment.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="tagcache.socket")
        os.dup2(passed.fileno(), 3)
        os.set_inheritable(3, True)
    os.execvpe(command[0], command, environment)
log = open(told_log, "a", buffering=1)
while True:
    if select.select([told], [], [], 0.02)[0]:
        log.write(told.recv(65536).decode().replace("\\n", " ") + "\\n")
        continue
    done, status = os.waitpid(pid, os.WNOHANG)
    if done:
        sys.exit(os.waitstatus_to_exitcode(status) & 255)
`;

interface Service {
  readonly manager: ChildProcess;
  readonly socket: string;
  readonly cache: string;
  told(): string;
  log(): string;
  readonly ended: Promise<number | null>;
}

function startService(directory: string, kind: string, args: readonly string[] = []): Service {
  const socket = join(directory, "passed");
  const told = join(directory, "told.log");
  writeFileSync(told, "");
  const cache = join(directory, "cache");
  const serve = ["--dir", cache, "serve", "--capacity", "16MiB", ...args];
  const child = spawn(
    "python3",
    ["-c", MANAGER, kind, socket, join(directory, "notify"), told, process.execPath, MAIN, ...serve],
    { env: { ...process.env, TAGCACHE_CONFIG: "/dev/null" }, stdio: ["ignore", "ignore", "pipe"] },
  );
  let text = "";
  child.stderr.on("data", (chunk: Buffer) => (text += chunk.toString()));
  return {
    manager: child,
    socket,
    cache,
    told: () => readFileSync(told, "utf8"),
    log: () => text,
    ended: once(child, "close").then(([code]: (number | null)[]) => code ?? null),
  };
}

/** A connection to a socket that nobody accepts on yet; it has its name a moment before it listens. */
async function earlyClient(path: string): Promise<Socket> {
  for (let tries = 0; tries < 1000; tries += 1) {
    const socket = connectSocket(path);
    const connected = await new Promise<boolean>((resolve) => {
      socket.once("connect", () => resolve(true));
      socket.once("error", () => resolve(false));
    });
    if (connected) return socket;
    await pause(5);
  }
  throw new Error(`Nobody listens on ${path}`);
}

/** The daemon's own pid: the manager's would end the manager alone. */
function daemonPid(service: Service): number {
  return Number(/\bpid=([0-9]+)/.exec(service.log())?.[1]);
}

where(
  "python3",
  "is served on the socket that was passed, tells when it is ready, and leaves the name alone",
  async () => {
    await withDirectory(async (directory) => {
      const service = startService(directory, "unix");
      // Whoever comes before the daemon does waits in the socket's queue.
      await until(() => existsSync(service.socket));
      chmodSync(service.socket, 0o666);
      const early = await earlyClient(service.socket);
      await until(() => /\bserving\b/.test(service.log()), 30_000);
      assert.match(service.log(), new RegExp(`socket=${service.socket}\\b`));
      if (has("systemd-notify", "--version")) {
        await until(() => /READY=1/.test(service.told()), 30_000);
        assert.match(service.told(), new RegExp(`MAINPID=${daemonPid(service)} `));
      } else assert.match(service.log(), /the service manager can't be told READY=1/);
      const client = await connect({ socketPath: service.socket, deadlineMs: 20_000 });
      await client.ping();
      await client.close();
      early.destroy();
      assert.equal((lstatSync(service.socket).mode & 0o777).toString(8), "666", "its mode is the manager's");
      assert.equal(existsSync(join(service.cache, "sock")), false);
      const { status } = await run(["--dir", service.cache, "--socket", service.socket, "status"]);
      assert.equal(status, 0);
      process.kill(daemonPid(service), "SIGTERM");
      assert.equal(await service.ended, 0, service.log());
      assert.ok(existsSync(service.socket), "its name is the manager's");
      if (has("systemd-notify", "--version")) assert.match(service.told(), /STOPPING=1/);
    });
  },
);

for (const [kind, wanted] of [
  ["tcp", /Cannot listen on descriptor 3: it is of another family, want a Unix stream socket/],
  ["file", /Cannot serve on descriptor 3, which was passed \(LISTEN_FDS\): it is no socket/],
] as const) {
  where("python3", `refuses what is passed and is no Unix socket (${kind})`, async () => {
    await withDirectory(async (directory) => {
      const service = startService(directory, kind);
      assert.equal(await service.ended, 78, service.log());
      assert.match(service.log(), wanted);
      assert.doesNotMatch(service.log(), /^\s+at /m);
    });
  });
}

systemd("takes no notice of what is passed to another process", async () => {
  await withDirectory(async (directory) => {
    const env = { LISTEN_PID: "1", LISTEN_FDS: "3", TAGCACHE_CAPACITY: "1" };
    const { status, stderr } = await run(["--dir", join(directory, "cache"), "serve"], { env, apart: true });
    assert.equal(status, 78);
    assert.match(stderr, /capacity/, "what is wrong is the setting");
  });
});

/** From dist/test/cli as from test/cli. */
const SHARE = ["../../cli/share", "../../../cli/share"]
  .map((place) => fileURLToPath(new URL(place, import.meta.url)))
  .find((place) => existsSync(join(place, "tagcache.service"))) as string;
/** Of 100 that `systemd-analyze security` may find. */
const EXPOSURE_MAX = 10;

where(
  "systemd-analyze",
  "has units that systemd takes, and little that it could still be forbidden",
  async () => {
    const units = ["tagcache.service", "tagcache.socket"].map((name) => join(SHARE, name));
    const verified = spawnSync("systemd-analyze", ["verify", ...units], { encoding: "utf8" });
    // Of other units of this machine it speaks too.
    const lines = `${verified.stdout}${verified.stderr}`.split("\n").filter((line) => /tagcache/.test(line));
    assert.deepEqual(lines, [], `exit status ${verified.status}`);
    const flags = ["--offline=true", `--threshold=${EXPOSURE_MAX}`];
    const rated = spawnSync("systemd-analyze", ["security", ...flags, units[0] as string], {
      encoding: "utf8",
    });
    assert.equal(rated.status, 0, rated.stdout);
  },
);

systemd.run();
