/** One publication as a direct reader uses it: everything it has open, from attach to the moment it is of no more use. */
import fs from "node:fs";
import { CACHE_ID_BYTES } from "../../index/core/layout.js";
import { descriptorsMax } from "../descriptors.js";
import type { Publication, Resolution } from "../direct-api.js";
import { SlotFiles } from "../slots/slot-files.js";
import { DirectReader, type DirectReaderOptions } from "./direct-reader.js";
import { type Known, KnownNames } from "./known-names.js";
import { LookupView, openPlace } from "./lookup-view.js";

export interface DirectSessionOptions {
  readonly publication: Publication;
  /** Hexadecimal. */
  readonly cacheId: string;
  readonly now: () => number;
  readonly verify: boolean;
  readonly onHit: DirectReaderOptions["onHit"];
}

export class DirectSession {
  readonly names: KnownNames;
  readonly reader: DirectReader;
  readonly #view: LookupView;
  readonly #files: SlotFiles;
  readonly #slotsFd: number;
  /** Reads on the thread pool, whose descriptors must not be closed under them. */
  #reading = 0;
  #closed = false;

  private constructor(
    options: DirectSessionOptions,
    { view, notices }: { view: LookupView; notices: number },
    slotsFd: number,
  ) {
    this.#view = view;
    this.#slotsFd = slotsFd;
    this.names = new KnownNames({ instance: view.instance, notices });
    view.names = this.names;
    // By the directory that was checked, whatever its path leads to by now.
    this.#files = new SlotFiles({
      root: `/proc/self/fd/${slotsFd}`,
      descriptorsMax: descriptorsMax(),
      readOnly: true,
    });
    this.reader = new DirectReader({
      view,
      files: this.#files,
      cacheId: Buffer.from(options.cacheId, "hex"),
      now: options.now,
      verify: options.verify,
      onHit: options.onHit,
    });
  }

  /** Undefined where the files cannot be read by us, are not those that were published, or are closed already. */
  static open(options: DirectSessionOptions): DirectSession | undefined {
    const { publication, cacheId } = options;
    const id = Buffer.from(cacheId, "hex");
    if (id.length !== CACHE_ID_BYTES) return undefined;
    const slotsFd = openPlace(publication.slots, "directory");
    if (slotsFd === undefined) return undefined;
    const lookupFd = openPlace(publication.lookup, "file");
    const opened = lookupFd === undefined ? undefined : LookupView.open(lookupFd, id);
    if (opened !== undefined) return new DirectSession(options, opened, slotsFd);
    fs.closeSync(slotsFd);
    return undefined;
  }

  /** The publication is of no more use; another may have taken its place. */
  get over(): boolean {
    return this.#closed || this.#view.over;
  }

  /** Takes up what the owner said of a file; undefined when it may hold no more. */
  adopt(resolution: Resolution): Known | undefined {
    const known = this.names.adopt(resolution);
    if (known === undefined) this.#view.look(); // it may be about another publication, which has taken the place of this
    return known;
  }

  /** As DirectReader.read; keeps what it reads from open until the end. */
  read(...args: Parameters<DirectReader["read"]>): ReturnType<DirectReader["read"]> {
    const read = this.reader.read(...args);
    if (!(read instanceof Promise)) {
      // What is not found may be so because all of it holds no more: only the header tells.
      if (read === undefined) this.#view.look();
      return read;
    }
    this.#reading += 1;
    return read.finally(() => {
      this.#reading -= 1;
      if (this.#closed && this.#reading === 0) this.#release();
    });
  }

  /** Uses nothing of it any more. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#view.close();
    this.names.close();
    if (this.#reading === 0) this.#release();
  }

  #release(): void {
    this.#files.close();
    fs.closeSync(this.#slotsFd);
  }
}
