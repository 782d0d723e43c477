/**
 * A window for what is new and a main part for what has proved itself: probation, and protected for what was hit there.
 * All three are in order of use. When room is wanted, the oldest of the window either goes on to the main part or leaves;
 * which of the two is for the rule of admission to say.
 */
import { SlotList } from "../linked-slots.js";
import type { SlotBytes } from "../slot-bytes.js";
import { type CullPolicy, type MayLeave, NOBODY, type PolicyParts, VICTIM_STEPS_MAX } from "../policy.js";
import type { FrequencySketch } from "./frequency-sketch.js";
import { Ghosts } from "./ghosts.js";
import { oldestAllowed } from "./lru.js";

/**
 * - `seen`: it was hit twice in the window, or is back soon after it left (as in S3-FIFO);
 * - `frequent`: it was used more often of late than the block that would go in its place (as in W-TinyLFU).
 */
export type Admission = "seen" | "frequent";

export interface Rule {
  readonly admission: Admission;
  /** The window's part of all slots. */
  readonly windowShare: number;
}

/** Where there are few slots, the order of use is all there is to go by. */
const WINDOW_SLOTS_MIN = 8;
/** Of the main part. */
const PROTECTED_SHARE = 0.8;

/** In a slot's byte: hits in the window, up to 3; and which part it is in. */
const HITS = 3;
const HITS_TO_PROVE = 2;
const PROBATION = 4;
const PROTECTED = 8;

export class WindowPolicy implements CullPolicy {
  readonly name = "adaptive";
  /** Another one holds from the next victim on. */
  rule: Rule;
  readonly #window: SlotList;
  readonly #probation: SlotList;
  readonly #protected: SlotList;
  readonly #notes: SlotBytes;
  readonly #ghosts = new Ghosts();
  readonly #sketch: FrequencySketch;
  readonly #identityOf: PolicyParts["identityOf"];
  /** Of the main part: it has lost its place to one of the window, and leaves next. */
  #loser = NOBODY;
  /** The most slots there ever were. */
  #slotsSeen = 0;
  /** Of the block that was removed last, and how it stood: perhaps it is stored again in another slot. */
  #left = NOBODY;
  #leftNote = 0;

  /** @param sketch is only read; its owner counts uses. */
  constructor({ links, notes, identityOf }: PolicyParts, sketch: FrequencySketch, rule: Rule) {
    this.#window = new SlotList(links);
    this.#probation = new SlotList(links);
    this.#protected = new SlotList(links);
    this.#identityOf = identityOf;
    this.#sketch = sketch;
    this.#notes = notes;
    this.rule = rule;
  }

  get slots(): number {
    return this.#window.slots + this.#probation.slots + this.#protected.slots;
  }

  insert(slot: number): void {
    this.#notes.reserve(slot);
    const identity = this.#identityOf(slot);
    const again = identity === this.#left;
    this.#left = NOBODY;
    const back = this.#ghosts.delete(identity);
    if (again) {
      this.#place(slot, this.#leftNote);
      this.touch(slot);
    } else {
      this.#place(slot, back && this.rule.admission === "seen" ? PROBATION : 0);
    }
    if (this.slots > this.#slotsSeen) this.#fill();
  }

  insertAll(slots: Uint32Array): void {
    for (let place = 0; place < slots.length; place += 1) {
      this.#notes.reserve(slots[place] as number);
      this.#notes.set(slots[place] as number, 0);
    }
    this.#window.pushAll(slots);
    this.#slotsSeen = this.slots;
  }

  touch(slot: number): void {
    if (slot === this.#loser) this.#loser = NOBODY;
    const note = this.#notes.get(slot);
    if (note >= PROTECTED) {
      this.#protected.refresh(slot);
    } else if (note >= PROBATION) {
      this.#probation.remove(slot);
      this.#place(slot, PROTECTED);
      if (this.#protected.slots > this.#protectedMax) this.#demote();
    } else {
      if (note < HITS) this.#notes.set(slot, note + 1);
      this.#window.refresh(slot);
    }
  }

  evict(slot: number): void {
    const slots = this.slots;
    const mainMax = slots - this.#windowMax(slots);
    if (this.#takeOut(slot) < PROBATION) this.#ghosts.add(this.#identityOf(slot), mainMax);
  }

  remove(slot: number): void {
    this.#left = this.#identityOf(slot);
    this.#leftNote = this.#takeOut(slot);
  }

  victim(mayLeave: MayLeave): number | undefined {
    if (this.#loser !== NOBODY && mayLeave(this.#loser)) return this.#loser;
    const windowMax = this.#windowMax(this.slots);
    for (let steps = 0; steps < VICTIM_STEPS_MAX && this.#window.slots >= windowMax; steps += 1) {
      const candidate = oldestAllowed(this.#window, mayLeave);
      if (candidate === undefined) break;
      const rival = this.#mainVictim(mayLeave);
      if (!this.#admits(candidate, rival, windowMax)) return candidate;
      this.#takeOut(candidate);
      this.#place(candidate, PROBATION);
      // Beyond its size the window gives to the main part what that lacks; else one has to leave for each that comes.
      if (this.rule.admission === "frequent" && rival !== undefined && this.#window.slots < windowMax) {
        this.#loser = rival;
        return rival;
      }
    }
    return this.#mainVictim(mayLeave) ?? oldestAllowed(this.#window, mayLeave);
  }

  /** The window, probation, protected. */
  *order(): Generator<number> {
    yield* this.#window;
    yield* this.#probation;
    yield* this.#protected;
  }

  /** The window comes first in order(), so it is what was inserted first. */
  restored(): void {
    this.#left = NOBODY;
    const slots = this.slots;
    const windowMax = this.#windowMax(slots);
    const probationMax = slots - this.#protectedMax;
    const order = new Uint32Array(slots);
    let count = 0;
    for (const list of [this.#probation, this.#protected, this.#window]) {
      for (const slot of list) order[count++] = slot;
      list.clear();
    }
    for (let place = 0; place < slots; place += 1) {
      this.#place(
        order[place] as number,
        place < windowMax ? 0 : place < probationMax ? PROBATION : PROTECTED,
      );
    }
  }

  clear(): void {
    for (const list of [this.#window, this.#probation, this.#protected]) list.clear();
    this.#ghosts.clear();
    this.#loser = NOBODY;
    this.#left = NOBODY;
  }

  #admits(candidate: number, rival: number | undefined, windowMax: number): boolean {
    if (windowMax >= this.slots) return false; // the window is all there is
    if (this.rule.admission === "seen") return this.#notes.get(candidate) >= HITS_TO_PROVE;
    if (rival === undefined) return true;
    return this.#sketch.of(this.#identityOf(candidate)) > this.#sketch.of(this.#identityOf(rival));
  }

  #mainVictim(mayLeave: MayLeave): number | undefined {
    return oldestAllowed(this.#probation, mayLeave) ?? oldestAllowed(this.#protected, mayLeave);
  }

  #windowMax(slots: number): number {
    return Math.min(slots, Math.max(WINDOW_SLOTS_MIN, Math.floor(slots * this.rule.windowShare)));
  }

  get #protectedMax(): number {
    const slots = this.slots;
    return Math.floor((slots - this.#windowMax(slots)) * PROTECTED_SHARE);
  }

  /** While there are more and more slots, what the window can't hold goes on. */
  #fill(): void {
    const slots = this.slots;
    this.#slotsSeen = slots;
    const slot = this.#window.oldest;
    if (slot === undefined || this.#window.slots <= this.#windowMax(slots)) return;
    this.#takeOut(slot);
    this.#place(slot, PROBATION);
  }

  /** The oldest of the protected has to prove itself again. */
  #demote(): void {
    const slot = this.#protected.oldest as number;
    this.#protected.remove(slot);
    this.#place(slot, PROBATION);
  }

  #place(slot: number, note: number): void {
    this.#notes.set(slot, note);
    this.#listOf(note).push(slot);
  }

  /** @returns how it stood. */
  #takeOut(slot: number): number {
    if (slot === this.#loser) this.#loser = NOBODY;
    const note = this.#notes.get(slot);
    this.#listOf(note).remove(slot);
    return note;
  }

  #listOf(note: number): SlotList {
    if (note >= PROTECTED) return this.#protected;
    return note >= PROBATION ? this.#probation : this.#window;
  }
}
