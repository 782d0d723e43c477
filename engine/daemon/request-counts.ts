/** How many requests of each operation were answered, and how. */

export class RequestCounts {
  readonly #byOperation = new Map<string, Map<string, number>>();

  /** @param operation one of the daemon's own: what clients send must not make this grow. */
  count(operation: string, status: string): void {
    let byStatus = this.#byOperation.get(operation);
    if (byStatus === undefined) {
      byStatus = new Map();
      this.#byOperation.set(operation, byStatus);
    }
    byStatus.set(status, (byStatus.get(status) ?? 0) + 1);
  }

  *entries(): Iterable<{ operation: string; status: string; count: number }> {
    for (const [operation, byStatus] of this.#byOperation)
      for (const [status, count] of byStatus) yield { operation, status, count };
  }
}
