/** Sorts blocks into the shares that the limits name. */
import type { VolumeRecord } from "../../index/records.js";
import type { Limits } from "../limits.js";
import type { Ranking } from "./ranking.js";
import { NO_SHARE, Shares } from "./shares.js";

export function regroup(
  ranking: Ranking,
  volumes: Iterable<VolumeRecord>,
  limits: Limits,
  volumeIdOf: (slot: number) => number,
): void {
  const shares = new Shares(limits.shares, () => limits.capacityBytes);
  const byVolume = new Map<number, number>();
  if (shares.count > 1) {
    for (const volume of volumes) {
      const share = shares.of(volume);
      if (share !== NO_SHARE) byVolume.set(volume.id, share);
    }
  }
  ranking.regroup(shares, (slot) => byVolume.get(volumeIdOf(slot)) ?? NO_SHARE);
}
