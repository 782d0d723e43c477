/**
 * Slot files that need no drive: every slot exists, reads as zeros, takes any bytes and forgets them. Calls that a drive
 * would answer from the thread pool come from there all the same, as all of them go to /dev/zero.
 */
import { type SlotIo, nodeIo } from "../../engine/slots/io.js";

const FACTS = { isFile: true, links: 1, owner: 0, sizeBytes: 0, allocatedBytes: 0 } as const;
const FLAGS = 2; // O_RDWR, and no O_CREAT or O_EXCL: the device is there
const later = () => new Promise<void>((resolve) => setImmediate(resolve));

export const zeroIo: SlotIo = {
  ...nodeIo,
  openSync: () => nodeIo.openSync("/dev/zero", FLAGS),
  open: () => nodeIo.open("/dev/zero", FLAGS),
  fdatasync: later,
  ftruncate: later,
  fstatSync: () => FACTS,
  lstatSync: () => FACTS,
  unlink: later,
};
