/** What of a session meets the drive, the index apart: slot files and their write-back, its health and space, what is published. */
import type { BlockIndex } from "../index/block-index.js";
import { type CacheError, messageOf } from "../index/core/errors.js";
import { shareSlotFiles } from "./coherency/group-access.js";
import { Drive, driveSpace, lookAtDrive } from "./cull/drive.js";
import { descriptorsMax } from "./descriptors.js";
import { Publisher } from "./direct/publisher.js";
import { DriveHealth } from "./drive-health.js";
import type { Limits } from "./limits.js";
import { GROUP_READS, OWNER_ONLY } from "./modes.js";
import type { SessionOptions } from "./session-options.js";
import { probeDrive } from "./slots/probe.js";
import { SlotFiles } from "./slots/slot-files.js";
import { STATE } from "./slots/slot-table.js";
import { Tracing } from "./trace/tracing.js";
import { WriteBack } from "./slots/write-back.js";

export interface DriveParts {
  readonly files: SlotFiles;
  readonly writeBack: WriteBack;
  readonly health: DriveHealth;
  readonly drive: Drive;
  readonly publisher: Publisher | undefined;
  readonly tracing: Tracing;
}

/** @param later what is asked for by a call is made later than these. */
export function openDriveParts(
  options: SessionOptions,
  later: {
    readonly limits: () => Limits;
    readonly index: () => BlockIndex;
    readonly epoch: () => number;
    readonly onTrouble: (message: string, error: unknown) => void;
  },
): DriveParts {
  const { state, log, now, io, groupId } = options;
  const { paths, table } = state;
  const modes = groupId === undefined ? OWNER_ONLY : GROUP_READS;
  const files = new SlotFiles({
    // What the end left unwritten is a block that fails its checksum, and no fault of its slot.
    mayEndEarly: (slot) => table.unchecked.has(slot),
    root: paths.slots,
    descriptorsMax: descriptorsMax(),
    modes,
    onTrouble: later.onTrouble,
    ...(io && { io }),
  });
  if (table.countOf(STATE.unknown) > 0) files.noteEarlierNames(table.numbers);
  const publisher =
    options.publish === true
      ? new Publisher({
          path: paths.lookup,
          slots: paths.slots,
          directory: paths.directory,
          cacheId: state.cacheId,
          epoch: later.epoch,
          capacityBytes: () => later.limits().capacityBytes,
          index: later.index,
          table,
          mode: modes.file,
          log,
        })
      : undefined;
  const health = new DriveHealth({
    now,
    log,
    probe: () => probeDrive(paths.probe, io),
    onChange: (sick) => publisher?.pause("sick", sick),
  });
  const onError = (slot: number, error: CacheError): void => {
    health.noteError(slot, error);
    const fields = { slot, error: String(error) };
    log("error", "the drive failed to keep a slot; this session will not end clean", fields);
  };
  const drive = new Drive({
    space: driveSpace(paths.root),
    look: () => lookAtDrive(paths.root),
    thresholds: later.limits,
    now,
  });
  const onChange = (recording: boolean): void => publisher?.pause("recording", recording);
  const tracing = new Tracing({ now, log, onChange });
  return { files, writeBack: new WriteBack({ files, now, onError }), health, drive, publisher, tracing };
}

/** Slot files of before there was a group get it too, in the background. */
export function shareFiles({ state, groupId, log }: SessionOptions, over: () => boolean): void {
  if (!state.filesToShare || groupId === undefined) return;
  shareSlotFiles(state.paths.slots, groupId, over).catch((error: unknown) => {
    log("warn", "some slot files are not readable for the group", { error: messageOf(error) });
  });
}
