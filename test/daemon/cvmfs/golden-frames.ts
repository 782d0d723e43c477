/** The frames whose bytes fixtures/cvmfs-frames.json holds, made by wire.ts; run as a program it writes that file's content to stdout. */
import { frame, message, sint, text, uint } from "./wire.js";

const DIGEST = Buffer.from(Array.from({ length: 20 }, (_, place) => place * 12));
const LARGE = 2n ** 64n - 1n;
const hash = (field: number, algorithm = 1): Buffer => message(field, uint(1, algorithm), text(2, DIGEST));
const head = (id: number | bigint): Buffer => Buffer.concat([uint(1, 7), uint(2, id)]);

/** Name to bytes. */
export const GOLDEN: Readonly<Record<string, Buffer>> = {
  handshake: frame(message(16, uint(1, 1), text(2, "repo.cern.ch:default"))),
  "handshake ack": frame(
    message(
      17,
      uint(1, 1),
      text(2, "tagcache 1"),
      uint(3, 1),
      uint(4, 7),
      uint(5, 262_144),
      uint(6, 127),
      uint(8, 4321),
    ),
  ),
  quit: frame(message(18, uint(1, 7))),
  ioctl: frame(message(26, uint(1, 7), sint(2, -1))),
  detach: frame(message(25)),
  refcount: frame(message(1, head(1), hash(3), sint(4, -3))),
  "refcount reply": frame(message(2, uint(1, 1), uint(2, 10))),
  read: frame(message(3, head(LARGE), hash(3, 3), uint(4, 2n ** 40n), uint(5, 4096))),
  "read reply": frame(message(4, uint(1, LARGE), uint(2, 1)), Buffer.from("some data")),
  "read reply at the end": frame(message(4, uint(1, 2), uint(2, 1))),
  "object info": frame(message(5, head(3), hash(3, 2))),
  "object info reply": frame(message(6, uint(1, 3), uint(2, 1), uint(3, 2), uint(4, 25_165_825))),
  store: frame(
    message(
      7,
      head(4),
      hash(3),
      uint(4, 1),
      uint(5, true),
      uint(6, LARGE),
      uint(7, 1),
      text(8, "/some/path"),
    ),
    Buffer.from([0, 1, 2, 3]),
  ),
  "store of nothing": frame(message(7, head(5), hash(3), uint(4, 1), uint(5, true))),
  "store abort": frame(message(8, head(4), hash(3))),
  "store reply": frame(message(9, uint(1, 4), uint(2, 1), uint(3, 1))),
  info: frame(message(19, head(6), uint(3, 3600))),
  "info reply": frame(
    message(20, uint(1, 6), uint(2, 1), uint(3, 2 ** 40), uint(4, 4096), uint(5, 0), uint(6, -1n)),
  ),
  shrink: frame(message(21, head(7), uint(3, 0))),
  "shrink reply": frame(message(22, uint(1, 7), uint(2, 12), uint(3, 17))),
  list: frame(message(23, head(8), uint(3, 0), uint(4, 1))),
  "list reply": frame(
    message(
      24,
      uint(1, 8),
      uint(2, 1),
      uint(3, 1),
      uint(4, true),
      message(5, hash(1), uint(2, true), text(3, "catalog")),
    ),
  ),
  "breadcrumb store": frame(
    message(
      27,
      head(9),
      message(3, text(1, "repo.cern.ch"), hash(2), uint(3, 1_700_000_000), uint(4, LARGE)),
    ),
  ),
  "breadcrumb load": frame(message(28, head(10), text(3, "repo.cern.ch"))),
  "breadcrumb reply": frame(
    message(
      29,
      uint(1, 10),
      uint(2, 1),
      message(3, text(1, "repo.cern.ch"), hash(2), uint(3, 1_700_000_000), uint(4, LARGE)),
    ),
  ),
};

if (process.argv[1] === import.meta.filename) {
  const hex = Object.entries(GOLDEN).map(([name, bytes]) => [name, bytes.toString("hex")]);
  process.stdout.write(`${JSON.stringify(Object.fromEntries(hex), undefined, 2)}\n`);
}
