import { mkdtempSync, rmSync } from "node:fs";
import { createConnection, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import * as assert from "uvu/assert";
import { suite } from "uvu";
import { readingSocket } from "../../engine/daemon/accepted-socket.js";

const accepted = suite("accepted sockets");

/** What arrives of `sent`, read in the way that is asked for; the server says goodbye when the client has said all. */
async function transfer(sent: Buffer, handOver: boolean): Promise<{ received: Buffer; straight: number }> {
  const directory = mkdtempSync(join(tmpdir(), "tagcache-accepted-"));
  const memory = Buffer.alloc(1000);
  const pieces: Buffer[] = [];
  let straight = 0;
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    const own = readingSocket(
      socket,
      {
        place: () => memory,
        onRead: (count) => {
          straight += 1;
          pieces.push(Buffer.from(memory.subarray(0, count)));
        },
        onData: (chunk) => pieces.push(chunk),
      },
      handOver,
    );
    own.on("end", () => own.end("goodbye"));
  });
  try {
    await new Promise<void>((resolve) => server.listen(join(directory, "sock"), resolve));
    const client = createConnection(join(directory, "sock"));
    client.end(sent);
    assert.is(await text(client), "goodbye");
    await new Promise<void>((resolve) => server.close(() => resolve()));
    return { received: Buffer.concat(pieces), straight };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

const SENT = Buffer.alloc(300_000, "all that was sent ");

accepted("are read to memory of ours, to the end of the stream", async () => {
  const { received, straight } = await transfer(SENT, true);
  assert.ok(received.equals(SENT));
  assert.ok(straight >= SENT.length / 1000);
});

accepted("are read as usual where the runtime hands nothing over", async () => {
  const { received, straight } = await transfer(SENT, false);
  assert.ok(received.equals(SENT));
  assert.is(straight, 0);
});

accepted.run();
