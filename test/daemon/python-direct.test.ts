/** The client in Python reads slot files itself, as engine/FORMAT.md says, and never what is not so any more. */
import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type Daemon, startDaemon } from "../cli/run-cli.js";
import { STRESS } from "./python-direct-stress.js";
import { type PythonOptions, python, pythonSuite } from "./run-python.js";

const { check, after, run } = pythonSuite("direct reads in Python");

/** One daemon for all of them: to start one costs more than most of these tests. */
let shared: Promise<Daemon> | undefined;

function sharedDaemon(): Promise<Daemon> {
  shared ??= startDaemon(join(mkdtempSync(join(tmpdir(), "tagcache-python-")), "cache"));
  return shared;
}

after(async () => {
  if (shared === undefined) return;
  const { child, exited, directory } = await shared;
  child.kill("SIGTERM");
  await exited;
  rmSync(dirname(directory), { recursive: true });
});

function direct(program: string, options: PythonOptions = {}): () => Promise<void> {
  return async () => {
    const { directory } = await sharedDaemon();
    await python(join(directory, "sock"), DIRECT_HEAD + program, options);
  };
}

/** `cache` reads directly, `other` never does. `asked(body)` does not read directly, `direct(body)` does. */
const DIRECT_HEAD = `
import client, os
client.ASK_AFTER = 0.1
BLOCK = 262144
cache, other = Client(path), Client(path, direct=False)
def direct_hits():
    return cache.status()["counters"]["directHits"]
def counted(wanted, body):
    before = direct_hits()
    answer = body()
    got = direct_hits() - before
    assert got == wanted, f"{got} direct hits, want {wanted}"
    return answer
def direct(body, blocks=1):
    return counted(blocks, body)
def asked(body):
    return counted(0, body)
def content(seed, length=BLOCK):
    return bytes((i * 7 + seed) % 251 for i in range(length))
def soon(body, blocks=1):
    """Once it is committed, a moment later, it is published."""
    end, before, answer = time.monotonic() + 10, direct_hits(), body()
    while direct_hits() - before < blocks:
        assert time.monotonic() < end, "never read directly"
        time.sleep(0.003)
        before, again = direct_hits(), body()
        assert again == answer, "not the same answer"
    return answer
def warm(tag, data):
    assert other.put(tag, data) == Answer("stored")
    assert soon(lambda: cache.get(tag)).data == data
`;

check(
  "whole blocks and parts of them, and the daemon is told",
  direct(`
tag, small = Tag(b"nfs", b"vol\\0", b"file", 2**45 - 1), Tag(b"nfs", b"", b"", 0)
data = content(1)
assert other.put(tag, data) == Answer("stored") and other.put(small, b"hello, block") == Answer("stored")
assert asked(lambda: cache.get(tag)).data == data and asked(lambda: cache.get(small)).data == b"hello, block"
soon(lambda: cache.get(tag)), soon(lambda: cache.get(small))
before = cache.status()
assert direct(lambda: cache.get(tag)).data == data
for offset, length in (0, 1), (4095, 2), (100001, 5000), (32767, 32770), (262143, 1), (262000, 262144):
    assert direct(lambda: cache.get(tag, offset, length)).data == data[offset : offset + length]
assert direct(lambda: cache.get(tag, offset=200000)).data == data[200000:]
assert direct(lambda: cache.get(small)) == Answer("hit", b"hello, block")
assert direct(lambda: cache.get(small, offset=7)).data == b"block"
assert direct(lambda: cache.get_or_lease(small)).data == b"hello, block"
assert asked(lambda: cache.get(small, offset=12, length=10)) == Answer("hit", b"")
refused("E_ARGUMENT", lambda: cache.get(tag, offset=262145))
refused("E_ARGUMENT", lambda: cache.get(tag, length=262145))
assert asked(lambda: other.get(tag)).data == data
after = cache.status()
assert after["hits"] - before["hits"] == 13
told = 2 * 262144 + 1 + 2 + 5000 + 32770 + 1 + 144 + 62144 + 12 + 5 + 12
assert after["counters"]["bytesHit"] - before["counters"]["bytesHit"] == told

# Through a handle: over the edge of two blocks, a page of zeros, and to the end of the file.
file = other.acquire_volume(b"nfs", b"vol").acquire_cookie(b"file", size=2 * BLOCK + 10)
for block in range(3):
    file.write(block * BLOCK, data if block < 2 else b"0123456789")
assert file.zero(BLOCK, 8192).bypass is None
mine = cache.acquire_volume(b"nfs", b"vol").acquire_cookie(b"file")
whole = data + bytes(8192) + data[8192:] + b"0123456789"
assert soon(lambda: mine.read(0, 3 * BLOCK), 3) == (whole, [], None)
assert direct(lambda: mine.read(BLOCK - 10, 9000), 2) == (whole[BLOCK - 10 : BLOCK + 8990], [], None)
assert direct(lambda: mine.read(BLOCK + 4096, 4096)) == (bytes(4096), [], None)
assert direct(lambda: mine.read(2 * BLOCK + 8, 100)) == (b"89", [], None)
assert asked(lambda: mine.read(2**40, 5)) == (b"", [], None)
cache.close()
assert mine.read(0, 1).bypass == "unavailable"
`),
);

check(
  "nothing that was overwritten, removed, invalidated, wiped or culled",
  direct(`
tag, old, new = Tag(b"nfs", b"vol", b"file", 3), content(1), content(2)
def is_gone(change):
    warm(tag, old)
    change()
    assert cache.get(tag) == Answer("miss") and cache.get(tag, 5, 10) == Answer("miss")
for data in new, new[:9], old:
    warm(tag, old)
    other.put(tag, data)
    assert soon(lambda: cache.get(tag)).data == data
is_gone(lambda: other.remove(tag))
is_gone(lambda: other.invalidate(b"nfs", b"vol", b"file"))
is_gone(lambda: other.invalidate(b"nfs", b"vol"))
is_gone(lambda: other.invalidate(b"nfs"))
is_gone(lambda: other.invalidate(b"nfs", b"vol", b"file", 3 * BLOCK, BLOCK))
is_gone(lambda: other.call("cull", usedBytesMax=0))
warm(tag, old)
other.invalidate(b"nfs", b"vol", b"file", 3 * BLOCK + 4096, 1)
assert cache.get(tag).kind != "hit" and cache.get(tag, 4096, 1).kind != "hit"

# What is new of a file that was invalidated, beside what is old.
next = tag._replace(block=4)
for names in (b"nfs", b"vol"), (b"nfs", b"vol", b"file"), (b"nfs", b"vol", b"file", 3 * BLOCK, 2 * BLOCK):
    warm(next, old)
    warm(tag, old)
    other.invalidate(*names)
    other.put(tag, new)
    assert cache.get(tag).data == new and cache.get(next) == Answer("miss")
warm(tag, old)
key = client.pack(tag[:3])
known = cache.direct._names[key]
for stamps, read in (
    ({"stamp": 2**40}, asked), ({"ranges": [[0, 9, 1], [3, 4, 2**40]]}, asked), ({"ranges": [[0, 3, 2**40], [4, 5, 2**40]]}, direct),
):
    cache.direct._names[key] = known._replace(**stamps)
    assert read(lambda: cache.get(tag)).data == old

# A change while the slot is read, of the entry and of what names mean.
publication, inner = cache.direct._publication, cache.direct._publication._bytes
def meanwhile(change):
    def read(*part):
        data = inner(*part)
        change()
        return data
    return read
for change, then in (lambda: other.put(tag, new), new), (lambda: other.invalidate(b"nfs", b"vol", b"file"), b""):
    warm(tag, old)
    publication._bytes = meanwhile(change)
    assert asked(lambda: cache.get(tag)).data == then
    publication._bytes = inner

# What is about other files is not in the way, but of more than stand in the file any may be about this one.
neighbour = tag._replace(volume=b"neighbour")
warm(neighbour, old)
for count, read in (24, direct), (25, asked):
    warm(tag, old)
    for number in range(count):
        warm(tag._replace(inode=b"other %d" % number), b"data")
        other.invalidate(b"nfs", b"vol", b"other %d" % number)
    assert read(lambda: cache.get(neighbour)).data == old
    assert direct(lambda: cache.get(neighbour)).data == old

is_gone(lambda: other.call("wipe"))
warm(tag, new)

# Handles: another size, another version, parts that are invalid.
def acquire(who, coherency=b"1", size=None):
    return who.acquire_volume(b"nfs", b"vol").acquire_cookie(b"handles", coherency=coherency, size=size)
file = acquire(other, size=BLOCK)
file.write(0, old)
mine = acquire(cache)
assert soon(lambda: mine.read(0, BLOCK)).data == old
file.resize(BLOCK // 2)
assert soon(lambda: mine.read(0, BLOCK)) == (old[: BLOCK // 2], [], None)
file.resize(BLOCK // 2 - 10)
assert soon(lambda: mine.read(0, BLOCK)).data == old[: BLOCK // 2 - 10]
file.resize(BLOCK // 2)
for offset in 0, BLOCK // 2 - 100:
    assert mine.read(offset, 50) == file.read(offset, 50)
file.resize(BLOCK)
assert mine.read(0, BLOCK).missing == [Range(BLOCK // 2 - 4096, BLOCK // 2 + 4096)]
file.write(10, b"written")
assert mine.read(8, 11).data == old[8:10] + b"written" + old[17:19]
file.invalidate_range(0, 1)
assert mine.read(0, 4096).missing == [Range(0, 4096)] and soon(lambda: mine.read(4096, 10)).data == old[4096:4106]
file.invalidate()
assert mine.read(4096, 10).missing == [Range(4096, 10)]
file.write(0, new)
assert soon(lambda: mine.read(0, BLOCK)).data == new
acquire(other, b"2").write(0, old)
assert mine.read(0, BLOCK).bypass == "stale"
second = acquire(cache, b"2")
assert soon(lambda: second.read(0, BLOCK)).data == old
second.relinquish()
refused("E_NOT_FOUND", lambda: second.read(0, BLOCK))
`),
);

check(
  "no damaged slot",
  direct(`
slots = os.path.join(os.path.dirname(path), "slots")
def damage(tag, change):
    data = content(100 + tag.block)
    warm(tag, data)
    found = [os.path.join(at, name) for at, _, names in os.walk(slots) for name in names]
    found = [name for name in found if open(name, "rb").read() == data]
    assert len(found) == 1, found
    change(found[0])
    return data
def flip(name):
    with open(name, "r+b") as file:
        file.seek(200000)
        byte = file.read(1)[0]
        file.seek(200000)
        file.write(bytes([byte ^ 1]))
tag = Tag(b"nfs", b"vol", b"file", 0)
data = damage(tag, flip)
assert direct(lambda: cache.get(tag, 0, 100)).data == data[:100]  # another group
assert asked(lambda: cache.get(tag, 199000, 10)).data in (b"", data[199000:199010])
assert asked(lambda: cache.get(tag)) == Answer("miss")
tag = tag._replace(block=1)
damage(tag, lambda name: os.truncate(name, 199999))
assert asked(lambda: cache.get(tag)).data == b""
# The daemon may hold a file open that has lost its name.
tag, names = tag._replace(block=2), []
data = damage(tag, lambda name: (os.rename(name, name + ".away"), names.append(name)))
assert asked(lambda: cache.get(tag)).data in (b"", data)
os.rename(names[0] + ".away", names[0])
`),
);

check(
  "only files that are those the daemon named; then it asks again",
  direct(`
tag, data = Tag(b"nfs", b"vol", b"file", 0), content(1)
warm(tag, data)
named = cache.hello["direct"]
def changed(which, **keys):
    return {**named, which: {**named[which], **keys}}
lookup = named["lookup"]["path"]
with open(lookup, "r+b") as file:
    file.write(bytes(8))  # the daemon makes another one when it is asked
assert soon(lambda: cache.get(tag)).data == data
named = cache.call("direct")[0]["direct"]
for wrong in (
    changed("lookup", inode=named["lookup"]["inode"] + 1), changed("slots", device=named["slots"]["device"] + 1),
    changed("slots", path=path + "-none"), changed("lookup", path="/dev/null"), None,
):
    cache.direct.begin(wrong)
    assert asked(lambda: cache.get(tag)).data == data
    assert soon(lambda: cache.get(tag)).data == data
`),
);

check("no byte that is wrong, torn or stale, beside a writer", async () => {
  const seed = String(randomInt(2 ** 31));
  console.log(`seed ${seed}`);
  const { directory } = await sharedDaemon();
  const output = await python(join(directory, "sock"), STRESS, { arguments: [seed] });
  assert.match(output, /^\d+ of \d+ hits were direct/);
});

check("and none of a dead daemon's once another one has taken over", async () => {
  let restarted: Promise<void> | undefined;
  const restart = async (): Promise<void> => {
    const { child, exited, directory } = await sharedDaemon();
    child.kill("SIGKILL");
    await exited;
    shared = startDaemon(directory);
    await shared;
  };
  try {
    await direct(
      `
tag, data = Tag(b"nfs", b"vol", b"file", 0), content(1)
warm(tag, data)
print("kill it")
end, answer = time.monotonic() + 20, cache.get(tag)
while answer.kind == "hit":
    assert answer.data == data and time.monotonic() < end
    answer = cache.get(tag)
while answer.kind == "bypass":
    assert answer.reason == "unavailable" and time.monotonic() < end
    time.sleep(0.02)
    answer = cache.get(tag)
assert answer == Answer("miss") and cache.connection > 1
other.close()
warm(tag, content(2))
`,
      {
        onLine: () => {
          restarted = restart();
        },
      },
    )();
    assert.ok(restarted !== undefined, "the program did not come to its middle");
  } finally {
    await restarted;
  }
});

run();
