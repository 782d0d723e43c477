/** Everything that reads bytes or text which somebody else wrote, each with right samples to begin with. */
import fs from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { CliError } from "../../cli/exit-codes.js";
import { readConfigFile } from "../../cli/config/file.js";
import { readRules } from "../../cli/config/shares.js";
import { readCheckpoint } from "../../engine/coherency/checkpoint.js";
import { decodeEntryList } from "../../engine/daemon/entry-list.js";
import { FrameParser } from "../../engine/daemon/frames.js";
import { decodeHeader } from "../../engine/daemon/header-decoder.js";
import { TraceDecoder } from "../../engine/trace/decoder.js";
import { groupEntryCount, readGroup, readGroupEntry } from "../../index/block-group.js";
import { CacheError } from "../../index/core/errors.js";
import { parseNameText } from "../../index/core/names.js";
import { parseSize } from "../../index/core/units.js";
import { decodeEntry } from "../../index/entry.js";
import { decodeBlockKey, decodeMetadataKey, decodeObjectKey, decodeVolumeKey } from "../../index/keys.js";
import { decodePin, encodePin } from "../../index/ledger-pins.js";
import { decodeLedgerState } from "../../index/ledger-state.js";
import { decodeMetadata } from "../../index/metadata-records.js";
import {
  decodeFsRecord,
  decodeIdentity,
  decodeObjectRecord,
  decodeVolumeRecord,
} from "../../index/records.js";
import { unsealed } from "../../index/sealed-store.js";
import { goldenFrames } from "../daemon/golden-frames.js";
import { checkpointBytes, goldenCheckpoint } from "../engine/coherency/checkpoint-cases.js";
import { goldenCases } from "../index/golden-cases.js";

export interface Target {
  readonly name: string;
  readonly samples: readonly Buffer[];
  /** May throw CacheError or CliError, and nothing else. */
  readonly read: (bytes: Buffer) => unknown;
  /** Reads a file each time, so it gets a part of the cases only. */
  readonly slow?: true;
}

const CONFIG = [
  'dir = "/nvme/cache"\ncapacity = "20%"\nslots = 500000\n',
  'shares = [ "nfs=10%..50%", "nfs/scratch=..5%" ]\nlog-level = "warn"\nbrun = 7.5\n',
];
const PIN_KEY = Buffer.from("0000000000000001", "hex");

const index = Object.entries(goldenCases()).map(([name, hex]) => [name, Buffer.from(hex, "hex")] as const);

function named(part: string): Buffer[] {
  const found = index.filter(([name]) => name.includes(part)).map(([, bytes]) => bytes);
  return found.length > 0 ? found : index.map(([, bytes]) => bytes);
}

/** Whether it is refused or not, a reader of another kind has its turn too. */
function each(...reads: ReadonlyArray<() => unknown>): void {
  for (const read of reads) {
    try {
      read();
    } catch (error) {
      if (!isRefusal(error)) throw error;
    }
  }
}

/** What bad bytes may lead to. */
export function isRefusal(error: unknown): boolean {
  return error instanceof CacheError || error instanceof CliError;
}

const frames = Object.values(goldenFrames()).map((hex) => Buffer.from(hex, "hex"));
const objectKey = named("object key")[0] as Buffer;
const volumeKey = named("volume key")[0] as Buffer;

/** @param directory for those that read files. */
export function targets(directory = tmpdir()): Target[] {
  const file = path.join(directory, `fuzz-${process.pid}`);
  const throughFile = (read: () => unknown) => (bytes: Buffer) => {
    fs.writeFileSync(file, bytes);
    return read();
  };
  return [
    { name: "frames", samples: frames, read: parseFrames },
    {
      name: "headers",
      samples: frames.map((frame) => frame.subarray(12)),
      read: (bytes) => decodeHeader(bytes),
    },
    { name: "entry lists", samples: frames, read: (bytes) => decodeEntryList(bytes, "E_FRAME") },
    {
      name: "keys",
      samples: named("key"),
      read: (bytes) =>
        each(
          () => decodeVolumeKey(bytes),
          () => decodeObjectKey(bytes),
          () => decodeBlockKey(bytes),
          () => decodeMetadataKey(bytes),
        ),
    },
    {
      name: "entries",
      samples: [...named("entry"), ...named("group")],
      read: (bytes) =>
        each(
          () => decodeEntry(bytes),
          () => readGroup(bytes, 8),
          () => readGroupEntry(bytes, 9),
          () => groupEntryCount(bytes),
        ),
    },
    {
      name: "records",
      samples: [...named("record"), ...named("identity"), ...named("volume"), ...named("object")],
      read: (bytes) =>
        each(
          () => decodeVolumeRecord(volumeKey, bytes),
          () => decodeObjectRecord(objectKey, bytes),
          () => decodeFsRecord(Buffer.from("afs"), bytes),
          () => decodeIdentity(bytes),
          () => decodeMetadata(bytes, bytes),
          () => unsealed("blocks", objectKey, bytes),
        ),
    },
    {
      name: "ledger records",
      samples: [
        ...named("ledger"),
        encodePin({
          id: 1,
          fs: Buffer.from("a"),
          volume: Buffer.from("b"),
          scope: "tree",
          name: Buffer.from("c"),
          epoch: 3,
        }),
      ],
      read: (bytes) =>
        each(
          () => decodeLedgerState(bytes, "/somewhere"),
          () => decodePin(PIN_KEY, bytes),
        ),
    },
    { name: "traces", samples: traceSamples(), read: (bytes) => new TraceDecoder().decode(bytes) },
    {
      name: "settings",
      samples: ["512MiB", "20%", "1.5GiB", "hex:00ff", "nfs=10%..50%,nfs/home=..30%"].map((text) =>
        Buffer.from(text),
      ),
      read: (bytes) =>
        each(
          () => parseSize(bytes.toString(), { totalBytes: 2 ** 40 }),
          () => parseNameText(bytes.toString()),
          () => readRules(bytes.toString()),
        ),
    },
    {
      name: "config files",
      samples: CONFIG.map((text) => Buffer.from(text)),
      read: throughFile(() => readConfigFile(file)),
      slow: true,
    },
    {
      name: "checkpoints",
      samples: [checkpointBytes(goldenCheckpoint())],
      read: throughFile(() => readCheckpoint(file)),
      slow: true,
    },
  ];
}

/** The same in pieces of all sizes. */
function parseFrames(bytes: Buffer): void {
  const parser = new FrameParser({
    onHeader: (header) => {
      each(() => decodeHeader(header));
      return undefined;
    },
    onFrame: () => true,
  });
  for (let at = 0, size = 1; at < bytes.length; at += size, size = (size * 5) % 37) {
    parser.push(bytes.subarray(at, at + size));
  }
}

function traceSamples(): Buffer[] {
  const fixture = new URL("../../fixtures/trace.hex", import.meta.url);
  const place = fs.existsSync(fixture) ? fixture : new URL("../../../fixtures/trace.hex", import.meta.url);
  const whole = Buffer.from(fs.readFileSync(place, "latin1").replaceAll(/\s/g, ""), "hex");
  return [whole, whole.subarray(32), whole.subarray(48)];
}
