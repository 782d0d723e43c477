/** Records of file systems, volumes and files: each reads back, has a number of its own, and belongs somewhere. */
import { nameText } from "../../index/core/names.js";
import type { ObjectRecord, VolumeRecord } from "../../index/records.js";
import { type Check, found } from "./ground.js";
import { IdSet } from "./id-set.js";
import type { Mender } from "./mender.js";

/** Records that are looked at again at once; more of them wait for the next check. */
const SUSPECTS_MAX = 10_000;

/** What names have been seen. */
export interface Names {
  /** Ids of files with a record. */
  readonly objects: IdSet;
  /** Object ids from this one on were given after the walk had begun. */
  readonly nextObjectId: number;
}

export async function checkNames(check: Check): Promise<Names> {
  const { course, counts, ground } = check;
  const { index, next } = ground;
  const nextObjectId = next().objectId;
  course.begin("names", index.stats().objectCount);
  for (const { fs, stamp } of index.walks.systems()) {
    if (stamp >= next().sequence)
      found(
        check,
        "volume-corrupt",
        `file system ${text(fs)} has stamp ${stamp}, which none can have yet`,
        undefined,
        (mender) => mender.renewSystem(fs),
      );
    await course.step();
  }
  const volumes = await volumeIds(check, (volume) => {
    counts.volumes += 1;
    if (volume.id < next().volumeId) return;
    const name = `${text(volume.fs)}/${text(volume.volume)}`;
    found(
      check,
      "volume-corrupt",
      `volume ${name} has number ${volume.id}, which none can have yet`,
      undefined,
      (mender) => mender.dropVolume(volume),
    );
  });
  const objects = new IdSet();
  const suspects: ObjectRecord[] = [];
  for (const record of index.walks.objects()) {
    counts.objects += 1;
    const drop = (mender: Mender) => mender.dropObject(record);
    const { id } = record;
    if (id >= next().objectId)
      found(
        check,
        "object-corrupt",
        `${whoOf(record)} has number ${id}, which none can have yet`,
        undefined,
        drop,
      );
    else if (!objects.add(id))
      found(
        check,
        "object-twice",
        `${whoOf(record)} has object id ${id}, which another has too`,
        undefined,
        drop,
      );
    else if (!volumes.has(record.volumeId) && suspects.length < SUSPECTS_MAX) suspects.push(record);
    await course.step();
  }
  await checkSuspects(check, suspects);
  return { objects, nextObjectId };
}

/** A volume may have been made after the walk over volumes had passed its name. */
async function checkSuspects(check: Check, suspects: readonly ObjectRecord[]): Promise<void> {
  if (suspects.length === 0) return;
  const volumes = await volumeIds(check, () => undefined);
  for (const record of suspects) {
    const stands = check.ground.index.names.findObject(record.volumeId, record.inode)?.id === record.id;
    if (stands && !volumes.has(record.volumeId))
      found(
        check,
        "object-orphan",
        `${whoOf(record)} is of volume ${record.volumeId}, which no record names`,
        undefined,
        (mender) => mender.dropObject(record),
      );
  }
}

async function volumeIds(
  { ground, course }: Check,
  onVolume: (volume: VolumeRecord) => void,
): Promise<IdSet> {
  const ids = new IdSet();
  for (const volume of ground.index.volumes()) {
    ids.add(volume.id);
    onVolume(volume);

    await course.step();
  }
  return ids;
}

function whoOf({ inode, volumeId }: ObjectRecord): string {
  return `file ${text(inode)} of volume ${volumeId}`;
}

/** Names are any bytes; one of a finding is short. */
function text(name: Buffer): string {
  const head = nameText(name.subarray(0, 64));
  return name.length > 64 ? `${head}…` : head;
}
