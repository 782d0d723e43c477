import assert from "node:assert/strict";
import { suite } from "uvu";
import { Arena } from "../../index/arena.js";

const arenas = suite("bytes of one commit");

arenas("what is taken before a reset does not overlap, whatever the sizes", () => {
  const arena = new Arena();
  for (let round = 0; round < 4; round += 1) {
    const taken: Buffer[] = [];
    for (let count = 0; count < 400; count += 1) {
      const bytes = arena.take(count === 7 ? 300_000 : 1 + ((count * 97 + round) % 1500));
      bytes.fill(count % 256);
      taken.push(bytes);
    }
    for (const [count, bytes] of taken.entries()) {
      assert.ok(
        bytes.every((byte) => byte === count % 256),
        `round ${round}, piece ${count}`,
      );
    }
    arena.reset();
  }
});

arenas("a commit like the last one needs no more memory, and one that was very large is not kept", () => {
  const arena = new Arena();
  const fill = (): Set<ArrayBufferLike> => {
    arena.reset();
    return new Set(Array.from({ length: 300 }, () => arena.take(577).buffer));
  };
  fill();
  const second = fill();
  assert.equal(second.size, 1);
  assert.deepEqual([...fill()], [...second]);
  for (let count = 0; count < 40; count += 1) arena.take(100_000);
  arena.reset();
  assert.ok(arena.take(1).buffer.byteLength <= 1024 * 1024);
});

arenas.run();
