/** What a check has found so far. */
import {
  FINDING_CHARACTERS_MAX,
  FINDINGS_KEPT_MAX,
  type FindingCode,
  type FsckCounts,
  type FsckFinding,
  type FsckReport,
} from "../fsck-api.js";

export class FindingList {
  readonly #all: FsckFinding[] = [];
  readonly #byCode = new Map<FindingCode, number>();
  #repaired = 0;

  /** In the order in which they were found; at most FINDINGS_KEPT_MAX. */
  get all(): readonly FsckFinding[] {
    return this.#all;
  }

  report(counts: FsckCounts): FsckReport {
    let found = 0;
    for (const count of this.#byCode.values()) found += count;
    return {
      findings: this.#all,
      found,
      repaired: this.#repaired,
      foundByCode: Object.fromEntries(this.#byCode),
      counts: { ...counts },
      clean: found === 0,
    };
  }

  add(finding: FsckFinding): void {
    this.#byCode.set(finding.code, (this.#byCode.get(finding.code) ?? 0) + 1);
    if (finding.repaired !== undefined) this.#repaired += 1;
    if (this.#all.length >= FINDINGS_KEPT_MAX) return;
    const { message } = finding;
    const isLong = message.length > FINDING_CHARACTERS_MAX;
    this.#all.push(
      isLong ? { ...finding, message: `${message.slice(0, FINDING_CHARACTERS_MAX)}…` } : finding,
    );
  }
}
