/** The one sequence that generations and stamps share: 1, 2, 3 and so on, never twice in the life of a cache. */
export class Sequence {
  /** The number that comes next. */
  next: number;
  /** The stamp of the latest invalidation: another number after every invalidation and every wipe of a session. */
  lastStamp = 0;

  constructor(next: number) {
    this.next = next;
  }

  readonly take = (): number => {
    const number = this.next;
    this.next = number + 1;
    return number;
  };

  /** The next number, as the stamp of an invalidation. */
  readonly takeStamp = (): number => {
    this.lastStamp = this.take();
    return this.lastStamp;
  };
}
