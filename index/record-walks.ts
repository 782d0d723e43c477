/** Walks over the records of one kind, whatever they belong to, for those who check the index. Part of BlockIndex. */
import { decodeVolumeKey } from "./keys.js";
import { type FsRecord, type ObjectRecord, decodeFsRecord, decodeObjectRecord } from "./records.js";
import { type Layers, walkNames } from "./scan.js";

/** Walks may be resumed in a later event turn, see walkNames. */
export class RecordWalks {
  readonly #layers: Layers;

  constructor(layers: Layers) {
    this.#layers = layers;
  }

  /** File systems' own records, by name. @throws {CacheError} E_INDEX_CORRUPT, E_CLOSED. */
  systems(): Iterable<FsRecord> {
    return walkNames(
      this.#layers,
      "volumes",
      {},
      {
        changesOf: (changes) => changes.systems,
        decode: (key, value) => {
          const parts = decodeVolumeKey(key);
          return parts.kind === "fs" ? decodeFsRecord(parts.fs, value) : undefined;
        },
      },
    );
  }

  /** Files of every volume, those of volumes without a record too. @throws {CacheError} E_INDEX_CORRUPT, E_CLOSED. */
  objects(): Iterable<ObjectRecord> {
    return walkNames(
      this.#layers,
      "objects",
      {},
      { changesOf: (changes) => changes.objects, decode: decodeObjectRecord },
    );
  }
}
