/** A program in Python: direct readers beside a writer. */

/**
 * Two readers and a writer, each a process. What a block may hold stands in shared memory: the writer raises `high` before it
 * changes a block and `low` when that is answered. A hit is the whole content, or the part asked for, of a version from the
 * `low` before the read to the `high` after it.
 */
export const STRESS = `
import client, mmap, os, random, struct
client.ASK_AFTER = 0.05
seed, seconds, readers, files, blocks = int(sys.argv[2]), 1.2, 2, 3, 8
enough, longest = 50, 20
shared = memoryview(mmap.mmap(-1, 4096)).cast("Q")
low, high, counts = shared[: files * blocks], shared[256 : 256 + files * blocks], shared[500 : 501 + readers]
began = time.monotonic()
tags = [Tag(b"nfs", b"volume %d" % (file // 2), b"file %d" % file, block) for file in range(files) for block in range(blocks)]

def content(block, version):
    length = 262144 if version % 16 == 0 else 16 + version * 7919 % 40000
    return (struct.pack("<QQ", block, version) * (length // 16 + 1))[:length]

def is_over():
    passed = time.monotonic() - began
    return passed > longest or passed > seconds and min(counts) > enough

def write():
    cache, chance, wipes = Client(path, direct=False), random.Random(seed), [20, 40]
    def gone(blocks, change):
        change()
        for block in blocks:
            high[block] += 1
            low[block] = high[block]
    while not is_over():
        block, kind = chance.randrange(len(tags)), chance.random()
        tag = tags[block]
        same_file = [number for number, other in enumerate(tags) if other.inode == tag.inode]
        same_volume = [number for number, other in enumerate(tags) if other.volume == tag.volume]
        if wipes and counts[0] >= wipes[0]:
            wipes.pop(0)
            gone(range(len(tags)), lambda: cache.call("wipe"))
        elif kind < 0.85:
            version = high[block] + 1
            high[block] = version
            assert cache.put(tag, content(block, version)) == Answer("stored")
            low[block] = version
        elif kind < 0.93:
            gone([block], lambda: cache.remove(tag))
        elif kind < 0.96:
            gone([block], lambda: cache.invalidate(*tag[:3], tag.block * 262144, 262144))
        elif kind < 0.99:
            gone(same_file, lambda: cache.invalidate(*tag[:3]))
        else:
            gone(same_volume, lambda: cache.invalidate(*tag[:2]))
        counts[0] += 1

def read(number):
    cache, chance = Client(path), random.Random(seed + number)
    while not is_over():
        block = chance.randrange(len(tags))
        offset, length = (0, 262144) if chance.random() < 0.5 else (16 * chance.randrange(1000), 16 * chance.randrange(1, 500))
        least = low[block]
        answer = cache.get(tags[block], offset, length)
        most = high[block]
        assert answer.kind in ("hit", "miss") or answer.reason == "closing", answer.reason  # a wipe
        if len(answer.data) >= 16:
            of, version = struct.unpack_from("<QQ", answer.data)
            assert of == block and least <= version <= most, (seed, block, of, least, version, most)
            assert answer.data == content(block, version)[offset : offset + length], (seed, block, version, offset)
            counts[number] += 1
    cache.close()

with Client(path) as cache:
    before = cache.status()
children = []
for number, body in enumerate([write, *[lambda number=n: read(number) for n in range(1, readers + 1)]]):
    child = os.fork()
    if child == 0:
        try:
            body()
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    children.append(child)
assert [os.waitpid(child, 0)[1] for child in children] == [0] * len(children)
after = Client(path).status()
hits, direct = after["hits"] - before["hits"], after["counters"]["directHits"] - before["counters"]["directHits"]
print(f"{direct} of {hits} hits were direct, beside {after['puts'] - before['puts']} puts")
assert min(counts) > enough and direct > hits / 10, list(counts)
`;
