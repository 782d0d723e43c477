/**
 * Reads and writes slot files through the descriptors that are open (descriptor-table.ts). Knows numbers and bytes, no tenants.
 * A file is opened without following links and must be a plain file with one name and at most 256 KiB.
 */
import fs from "node:fs";
import { CacheError, errnoOf, messageOf } from "../../index/core/errors.js";
import { SLOT_BYTES } from "../../index/core/layout.js";
import { isTrustedOwner } from "../../index/core/own-files.js";
import { type Modes, OWNER_ONLY } from "../modes.js";
import { DescriptorTable, type OpenSlot } from "./descriptor-table.js";
import { type SlotFileFacts, type SlotIo, nodeIo } from "./io.js";
import { SlotDirectories } from "./slot-directories.js";
import { SLOTS_PER_DIRECTORY, slotDirectory } from "./slot-paths.js";

const { O_RDONLY, O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK } = fs.constants;

export interface SlotFilesOptions {
  readonly root: string;
  readonly descriptorsMax: number;
  readonly io?: SlotIo;
  /** Of what is made. */
  readonly modes?: Modes;
  /** Told of what fails and takes nothing with it. */
  readonly onTrouble?: (message: string, error: unknown) => void;
  /** For those who are not the owner: nothing is made or changed. */
  readonly readOnly?: boolean;
  /** Whether the file may end before what is read: then zeros follow, as in a hole, for the checksum to judge. */
  readonly mayEndEarly?: (slot: number) => boolean;
}

export class SlotFiles {
  readonly #root: string;
  readonly #io: SlotIo;
  readonly #descriptorsMax: number;
  readonly #modes: Modes;
  readonly #flags: number;
  readonly #open: DescriptorTable;
  /** Calls under way, and those that wait for one of them to end. */
  #uses = 0;
  readonly #waiting: Array<() => void> = [];
  readonly #opening = new Map<number, Promise<OpenSlot>>();
  /** Directories in which files were made and that were not synced since. */
  readonly madeIn = new Set<string>();
  readonly #directories: SlotDirectories;
  readonly #onTrouble: (message: string, error: unknown) => void;
  readonly #mayEndEarly: (slot: number) => boolean;

  constructor(options: SlotFilesOptions) {
    this.#onTrouble = options.onTrouble ?? (() => undefined);
    this.#mayEndEarly = options.mayEndEarly ?? (() => false);
    this.#root = options.root;
    this.#modes = options.modes ?? OWNER_ONLY;
    // Without waiting for the other end of a pipe that has the name.
    this.#flags = (options.readOnly === true ? O_RDONLY : O_RDWR) | O_NOFOLLOW | O_NONBLOCK;
    this.#directories = new SlotDirectories(options.root, {
      mode: this.#modes.directory,
      onMade: () => this.madeIn.add(this.#root),
      hold: options.readOnly !== true,
    });
    this.#io = options.io ?? nodeIo;
    this.#descriptorsMax = options.descriptorsMax;
    this.#open = new DescriptorTable(options.descriptorsMax, (fd) => this.#closeDescriptor(fd));
  }

  /** Names made by an earlier owner, who may have died before they were durable, are synced with our own. */
  noteEarlierNames(numbers: number): void {
    this.madeIn.add(this.#root);
    for (let slot = 0; slot < numbers; slot += SLOTS_PER_DIRECTORY) {
      const directory = slotDirectory(this.#root, slot);
      if (fs.existsSync(directory)) this.madeIn.add(directory);
    }
  }

  get openDescriptors(): number {
    return this.#open.size;
  }

  /** Reads without leaving the event loop; for bytes that are in memory. @throws {CacheError} E_IO, also when the file is shorter. */
  readSync(slot: number, target: Buffer, positionBytes: number): void {
    const length = target.length;
    // No closures here: a hit on 4 KiB would feel them.
    try {
      const found = this.#open.get(slot) ?? this.#keep(slot, this.#openSync(slot));
      found.referenced = true;
      for (let done = 0; done < length;) {
        const got = this.#io.readSync(found.fd, target, done, length - done, positionBytes + done);
        if (got === 0) this.#endsEarly(slot, target, done, positionBytes);
        done += got === 0 ? length - done : got;
      }
    } catch (error) {
      throw asIoError(slot, "read", error);
    }
  }

  /** Reads on the thread pool. @throws {CacheError} E_IO, also when the file is shorter. */
  async read(slot: number, target: Buffer, positionBytes: number): Promise<void> {
    await this.#use(slot, "read", 0, async (fd) => {
      for (let done = 0; done < target.length;) {
        const got = await this.#io.read(fd, target, done, target.length - done, positionBytes + done);
        if (got === 0) this.#endsEarly(slot, target, done, positionBytes);
        done += got === 0 ? target.length - done : got;
      }
    });
  }

  #endsEarly(slot: number, target: Buffer, done: number, positionBytes: number): void {
    if (!this.#mayEndEarly(slot)) {
      const message = `Cannot read slot ${slot}: its file ends at ${positionBytes + done}, want more`;
      throw new CacheError("E_IO", message);
    }
    target.fill(0, done);
  }

  /** `create` makes the file, which must not exist. @throws {CacheError} E_IO. */
  async write(slot: number, bytes: Uint8Array, create: boolean, positionBytes = 0): Promise<void> {
    const flags = create ? O_CREAT | O_EXCL : 0;
    await this.#use(slot, "write", flags, async (fd) => {
      for (let done = 0; done < bytes.length;) {
        const put = await this.#io.write(fd, bytes, done, bytes.length - done, positionBytes + done);
        if (put === 0)
          throw new CacheError(
            "E_IO",
            `Cannot write slot ${slot}: the drive took no bytes at ${positionBytes + done}`,
          );
        done += put;
      }
    });
  }

  /** @throws {CacheError} E_IO. */
  async sync(slot: number): Promise<void> {
    await this.#use(slot, "sync", 0, (fd) => this.#io.fdatasync(fd));
  }

  /** Cuts a slot without a tenant back. @throws {CacheError} E_IO. */
  async truncate(slot: number, sizeBytes: number): Promise<void> {
    await this.#use(slot, "truncate", 0, (fd) => this.#io.ftruncate(fd, sizeBytes));
  }

  /** What lies under the name of a slot's file; undefined where there is nothing. @throws {CacheError} E_IO. */
  factsOf(slot: number): SlotFileFacts | undefined {
    try {
      return this.#directories.once(slot, (path) => this.#io.lstatSync(path));
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return undefined; // its directory is not there
      throw asIoError(slot, "stat", error);
    }
  }

  /** Whether that is a plain file of ours with one name and at most 256 KiB: a second name may be that of somebody else's file, and what somebody else owns can change at any time. */
  isUsable(slot: number, facts: SlotFileFacts): boolean {
    return isPlain(facts) && isTrustedOwner(facts.owner, this.#directories.ownerOf(slot));
  }

  /** What the file occupies now, or undefined where there is no usable file. @throws {CacheError} E_IO. */
  allocatedBytes(slot: number): number | undefined {
    const facts = this.factsOf(slot);
    if (facts === undefined) return undefined;
    this.#check(slot, facts);
    return Math.max(facts.allocatedBytes, facts.sizeBytes);
  }

  /** Removes the file of a slot whose number is retired with it. @throws {CacheError} E_IO. */
  async unlink(slot: number): Promise<void> {
    try {
      const place = this.#directories.use(slot);
      await this.#io.unlink(place.path).finally(place.release);
    } catch (error) {
      throw asIoError(slot, "remove", error);
    } finally {
      this.forget(slot);
    }
    this.madeIn.add(slotDirectory(this.#root, slot));
  }

  /** Closes the slot's descriptor, once nobody uses it. */
  forget(slot: number): void {
    this.#open.forget(slot);
  }

  /** Closes every descriptor; nothing may be under way. */
  close(): void {
    this.#open.closeAll();
    this.#directories.close();
  }

  async #use<T>(slot: number, action: string, flags: number, body: (fd: number) => Promise<T>): Promise<T> {
    // So there is always a descriptor that may be closed for another one.
    while (this.#uses >= this.#descriptorsMax)
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#uses += 1;
    try {
      let found = this.#open.get(slot);
      // A descriptor just opened may be closed again before this turn comes, if many are wanted at once.
      while (found === undefined) {
        const opened = await this.#openShared(slot, flags);
        found = this.#open.get(slot) === opened ? opened : undefined;
      }
      return await this.#open.use(found, body);
    } catch (error) {
      throw asIoError(slot, action, error);
    } finally {
      this.#uses -= 1;
      this.#waiting.shift()?.();
    }
  }

  #openShared(slot: number, flags: number): Promise<OpenSlot> {
    const under = this.#opening.get(slot);
    if (under !== undefined) return under;
    const opening = this.#openAsync(slot, flags).finally(() => this.#opening.delete(slot));
    this.#opening.set(slot, opening);
    return opening;
  }

  async #openAsync(slot: number, flags: number): Promise<OpenSlot> {
    try {
      const place = this.#directories.use(slot, flags !== 0);
      const fd = await this.#io
        .open(place.path, this.#flags | flags, this.#modes.file)
        .finally(place.release);
      const raced = this.#open.get(slot); // a synchronous read may have opened it meanwhile
      if (raced !== undefined) {
        this.#closeDescriptor(fd);
        return raced;
      }
      if (flags !== 0) this.madeIn.add(slotDirectory(this.#root, slot));
      return this.#keep(slot, fd);
    } catch (error) {
      throw asIoError(slot, "open", error);
    }
  }

  #openSync(slot: number): number {
    return this.#directories.once(slot, (path) => this.#io.openSync(path, this.#flags));
  }

  #keep(slot: number, fd: number): OpenSlot {
    const facts = this.#factsOf(fd);
    try {
      this.#check(slot, facts);
    } catch (error) {
      this.#closeDescriptor(fd);
      throw error;
    }
    return this.#open.admit(slot, fd);
  }

  /** The number is given up in any case, or it would come to mean another file. What was written is known by its sync. */
  #closeDescriptor(fd: number): void {
    try {
      this.#io.closeSync(fd);
    } catch (error) {
      this.#onTrouble("a slot's descriptor did not close well", error);
    }
  }

  /** A descriptor that nobody has yet is closed if nothing can be said of it. */
  #factsOf(fd: number): SlotFileFacts {
    try {
      return this.#io.fstatSync(fd);
    } catch (error) {
      this.#closeDescriptor(fd);
      throw error;
    }
  }

  #check(slot: number, facts: SlotFileFacts): void {
    if (this.isUsable(slot, facts)) return;
    const found = isPlain(facts) ? `user ${facts.owner} owns its file, ` : "";
    throw new CacheError(
      "E_IO",
      `Cannot use slot ${slot}: ${found}want a plain file of ours with one name and at most ${SLOT_BYTES} bytes`,
    );
  }
}

function isPlain({ isFile, links, sizeBytes }: SlotFileFacts): boolean {
  return isFile && links === 1 && sizeBytes <= SLOT_BYTES;
}

function asIoError(slot: number, action: string, error: unknown): CacheError {
  if (error instanceof CacheError) return error;
  const errno = errnoOf(error);
  return new CacheError("E_IO", `Cannot ${action} slot ${slot}: ${errno ?? messageOf(error)}`, {
    cause: error,
  });
}
