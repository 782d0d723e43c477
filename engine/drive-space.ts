/** How much of a drive is free. */
import fs from "node:fs";

export interface DriveSpace {
  readonly totalBytes: number;
  readonly availableBytes: number;
  readonly totalInodes: number;
  readonly availableInodes: number;
}

/** What statfs(2) says of the file system that holds `path`; available means available to an ordinary user. */
export function driveSpace(path: string): DriveSpace {
  return spaceOf(fs.statfsSync(path));
}

/** The same without making anybody wait. */
export async function lookAtDrive(path: string): Promise<DriveSpace> {
  return spaceOf(await fs.promises.statfs(path));
}

function spaceOf(stats: fs.StatsFs): DriveSpace {
  return {
    totalBytes: stats.blocks * stats.bsize,
    availableBytes: stats.bavail * stats.bsize,
    totalInodes: stats.files,
    availableInodes: stats.ffree,
  };
}
