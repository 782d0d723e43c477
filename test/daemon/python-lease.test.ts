/** Leases in the hands of a client in Python. */
import assert from "node:assert/strict";
import { join } from "node:path";
import type { LeaseResult } from "../../engine/api.js";
import { connect } from "../../engine/daemon/client.js";
import { withDaemon } from "../cli/run-cli.js";
import { RUN_MS_MAX, python, pythonSuite, withPython } from "./run-python.js";

const { check, run } = pythonSuite("leases in Python");

const LEASE_HEAD = `
cache = Client(path)
tag = Tag(b"nfs", b"vol", b"file", 0)
def until_one_waits():
    end = time.monotonic() + 20
    while cache.status()["leases"]["waiting"] != 1:
        assert time.monotonic() < end, "nobody waits"
        time.sleep(0.01)
`;

check(
  "leases: fetches what it is told to, and gives up what it cannot fetch",
  withPython(`
with Client(path) as cache, Client(path) as other:
    tag = Tag(b"nfs", b"vol", b"file", 0)
    answer = cache.get_or_lease(tag, lease=60)
    assert answer.kind == "lease" and 55 < answer.lease.expires - time.monotonic() <= 60
    assert other.get_or_lease(tag, wait=0) == Answer("miss")
    began = time.monotonic()
    assert other.get_or_lease(tag, wait=0.3) == Answer("miss") and time.monotonic() - began >= 0.29
    answer.lease.give_up()
    answer.lease.give_up()
    assert answer.lease.put(b"data") == Answer("bypass", reason="stale")
    with other.get_or_lease(tag).lease as lease:
        refused("E_ARGUMENT", lambda: lease.put(b""))
    with cache.get_or_lease(tag).lease as lease:
        assert lease.put(b"0123456789") == Answer("stored")
    assert cache.get_or_lease(tag, offset=2, length=3) == Answer("hit", b"234")
    # What was invalidated meanwhile may have been fetched before that.
    lease = cache.get_or_lease(tag._replace(block=1)).lease
    other.remove(tag._replace(block=1))
    assert lease.put(b"old") == Answer("bypass", reason="stale")
    lease = cache.get_or_lease(tag._replace(block=2)).lease
    cache.close()
    lease.give_up()
    assert lease.expires and other.get_or_lease(tag._replace(block=2), wait=5).kind == "lease"
    refused("E_ARGUMENT", lambda: cache.get_or_lease(tag, lease=0))
    refused("E_ARGUMENT", lambda: cache.get_or_lease(tag, wait=601))
`),
);

check("holds a lease while another client waits, which gets the bytes it puts", async () => {
  const { waited } = await waitForPython(
    `
lease = cache.get_or_lease(tag).lease
print("held")
until_one_waits()
assert lease.put(b"fetched by Python") == Answer("stored")
`,
  );
  assert.deepEqual(waited, { kind: "hit", bytes: Buffer.from("fetched by Python") });
});

check("gives a lease up, and the one who waits takes over", async () => {
  const { waited } = await waitForPython(
    `
with cache.get_or_lease(tag).lease:
    print("held")
    until_one_waits()
`,
  );
  assert.equal(waited.kind, "lease");
});

check("is killed with a lease in its hands, and the one who waits takes over", async () => {
  const { waited, output } = await waitForPython(
    `
import os, signal
lease = cache.get_or_lease(tag, lease=600).lease
print("held")
until_one_waits()
os.kill(os.getpid(), signal.SIGKILL)
`,
    "SIGKILL",
  );
  assert.equal(waited.kind, "lease");
  assert.equal(output, "held\n");
});

/** Runs a program that says when it holds the lease of a block; another client asks for it then, and waits. */
async function waitForPython(
  program: string,
  ending: "SIGKILL" | 0 = 0,
): Promise<{ waited: LeaseResult; output: string }> {
  let waiting: Promise<LeaseResult> | undefined;
  let output = "";
  await withDaemon(async ({ directory }) => {
    const socketPath = join(directory, "sock");
    const client = await connect({ socketPath, deadlineMs: RUN_MS_MAX });
    const ask = () =>
      client.getOrLease({ fs: "nfs", volume: "vol", inode: "file", block: 0 }, { waitMs: RUN_MS_MAX });
    try {
      const onLine = (): void => {
        waiting = ask();
      };
      output = await python(socketPath, LEASE_HEAD + program, { onLine, ending });
      assert.ok(waiting !== undefined, "the program never held the lease");
      await waiting;
    } finally {
      await client.close();
    }
  });
  return { waited: await (waiting as unknown as Promise<LeaseResult>), output };
}

run();
