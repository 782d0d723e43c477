/**
 * The client's direct reads: it reads slot files itself while it may and can, and everything else goes over the socket.
 * What it knows of names comes with replies; what it did is told to the daemon in batches. A publication is used for as
 * long as the connection on which it was named lives.
 */
import { isCacheError } from "../../index/core/errors.js";
import type { Publication, Resolution } from "../direct-api.js";
import { DirectSession } from "../direct/direct-session.js";
import type { WantedPart } from "../direct/direct-reader.js";
import type { Known } from "../direct/known-names.js";
import { USES_MAX, type UseHolder, UseLog, encodeUses } from "../direct/uses.js";
import { readPublication } from "./direct-codec.js";
import type { Link } from "./client-link.js";
import type { Fields } from "./fields.js";
import type { Tag } from "../api.js";
import { NameMap } from "./name-map.js";

/** Uses are told so often, or when so many have gathered. */
const TELL_MS = 200;
const TELL_USES = USES_MAX / 2;
/** After a publication is over the next one is asked for: at first so soon, then ever later. */
const ASK_MS_MIN = 10;
const ASK_MS_MAX = 10_000;
/** A caller that reads again at once gives others a turn after so long, so that the end of the connection is noticed. */
const TURN_MS = 50;
const TURN_LOOK_READS = 32;

export interface DirectClientOptions {
  readonly link: Link;
  /** See ConnectOptions. */
  readonly verify: boolean;
}

type Read = Buffer | undefined | Promise<Buffer | undefined>;

export class DirectClient {
  readonly #options: DirectClientOptions;
  readonly #uses = new UseLog();
  readonly #tags = new NameMap<Known>();
  #session: DirectSession | undefined;
  #generation = 0;
  #askMs = ASK_MS_MIN;
  #asking: NodeJS.Timeout | undefined;
  #telling: NodeJS.Timeout | undefined;
  #reads = 0;
  #turnAtMs = performance.now();
  #closed = false;

  constructor(options: DirectClientOptions) {
    this.#options = options;
    options.link.onChange = () => this.#connectionChanged();
    this.#connectionChanged();
  }

  /** Whether replies should say what names mean. */
  get wanted(): boolean {
    return this.#usable() !== undefined;
  }

  /** The bytes of a hit, or undefined (perhaps later): ask the daemon. */
  get(tag: Tag, block: number, wanted: WantedPart): Read {
    const session = this.#usable();
    const known = session && this.#tags.get(tag);
    if (session === undefined || known === undefined) return undefined;
    return this.read(known, block, wanted);
  }

  /** The same of a file that is known already. */
  read(known: Known, block: number, wanted: WantedPart): Read {
    const session = this.#usable();
    if (session === undefined || !known.valid) return undefined;
    const bytes = session.read(known, block, wanted);
    this.#reads += 1;
    return this.#reads % TURN_LOOK_READS === 0 && this.#turnIsDue() ? this.#afterTurn(bytes) : bytes;
  }

  /** Keeps what a reply said of a tag's names. */
  learnTag(tag: Tag, resolution: Resolution | undefined): void {
    const known = this.learn(resolution);
    if (known !== undefined) this.#tags.set(tag, known, (old) => this.#session?.names.forget(old));
  }

  /** Takes up what a reply said of a file; undefined if it may hold no more. */
  learn(resolution: Resolution | undefined): Known | undefined {
    return resolution === undefined ? undefined : this.#session?.adopt(resolution);
  }

  /** A file is not read any more by whoever learnt of it. */
  forget(known: Known): void {
    this.#session?.names.forget(known);
  }

  /** Tells what is untold and reads no more. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#asking);
    await this.#tell();
    this.#detach();
  }

  #usable(): DirectSession | undefined {
    const session = this.#session;
    if (session === undefined || !session.over) return session;
    this.#detach();
    this.#askLater();
    return undefined;
  }

  #connectionChanged(): void {
    const { link } = this.#options;
    if (link.connected && link.generation === this.#generation) return;
    this.#detach();
    if (!link.connected || this.#closed) return;
    this.#generation = link.generation;
    this.#askMs = ASK_MS_MIN;
    this.#attach(link.hello.direct);
  }

  #attach(publication: Publication | undefined): void {
    const { link, verify } = this.#options;
    if (publication !== undefined) {
      this.#session = DirectSession.open({
        publication,
        cacheId: link.hello.cacheId,
        now: () => performance.now(),
        verify,
        onHit: (item, objectId, block, bytes) => this.#note(item, objectId, block, bytes),
      });
    }
    if (this.#session === undefined) this.#askLater();
    else this.#askMs = ASK_MS_MIN;
  }

  #detach(): void {
    clearTimeout(this.#asking);
    clearTimeout(this.#telling);
    this.#asking = undefined;
    this.#telling = undefined;
    this.#session?.close();
    this.#session = undefined;
    this.#tags.clear();
    this.#uses.take();
  }

  #askLater(): void {
    if (this.#asking !== undefined || this.#closed) return;
    this.#asking = setTimeout(() => {
      this.#asking = undefined;
      void this.#ask(); // never rejects
    }, this.#askMs).unref();
    this.#askMs = Math.min(ASK_MS_MAX, 2 * this.#askMs);
  }

  async #ask(): Promise<void> {
    const { link } = this.#options;
    if (!link.connected || this.#session !== undefined || this.#closed) return;
    const generation = this.#generation;
    const answer = await link.call({ header: { op: "direct" } });
    if (generation !== this.#generation || this.#session !== undefined || this.#closed || !link.connected)
      return;
    // A daemon of before direct reads refuses the question: it will not learn them on this connection.
    if (answer.kind === "error" && answer.error.code === "E_OPERATION") return;
    this.#attach(answer.kind === "reply" ? publicationIn(answer.fields) : undefined);
  }

  #note(item: UseHolder, objectId: number, block: number, bytes: number): void {
    this.#uses.note(item, objectId, block, bytes);
    if (this.#telling === undefined) {
      this.#telling = setTimeout(() => void this.#tell(), TELL_MS).unref(); // a call never rejects
    } else if (this.#uses.size === TELL_USES) {
      this.#telling.refresh();
      void this.#tell();
    }
  }

  async #tell(): Promise<void> {
    clearTimeout(this.#telling);
    this.#telling = undefined;
    const { link } = this.#options;
    if (this.#uses.size === 0 || !link.connected) return;
    // An answer that does not come leaves some recency untold: that is all that is lost with it.
    await link.call({ header: { op: "uses" }, payload: encodeUses(this.#uses.take()) });
  }

  #turnIsDue(): boolean {
    return performance.now() - this.#turnAtMs > TURN_MS;
  }

  async #afterTurn(bytes: Read): Promise<Buffer | undefined> {
    const read = await bytes;
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.#turnAtMs = performance.now();
    return read;
  }
}

/** A reply that does not read back names nothing: nobody waits for it who could be told. */
function publicationIn(fields: Fields): Publication | undefined {
  try {
    return readPublication(fields);
  } catch (error) {
    if (isCacheError(error, "E_FRAME")) return undefined;
    throw error;
  }
}
