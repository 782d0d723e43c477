/**
 * Which mount an open descriptor lies on, and what identifies the file system there.
 *
 * `mnt_id` of /proc/self/fdinfo/<fd> names the mount, /proc/self/mountinfo describes it; neither touches the file
 * system itself, so a dead network server cannot hang them. Hence the synchronous reads.
 */
import { closeSync, openSync, readFileSync, readSync, readdirSync, statSync } from "node:fs";
import { errnoOf } from "../../index/core/errors.js";

export interface Mount {
  readonly id: number;
  /** "major:minor" as the kernel names the device. */
  readonly device: string;
  /** Absolute path of the mount point, raw bytes. */
  readonly point: Buffer;
  readonly fsType: string;
  readonly source: string;
  /** Names the file system across mounts and boots; see identityOf. */
  readonly identity: Buffer;
}

/** What /proc/self/mountinfo says of a mount, as far as identities need it. */
export type MountFields = Pick<Mount, "device" | "fsType" | "source"> & { readonly superOptions: string };

/** The table may be this old before a look-up reads it again: a mount id can be reused after an unmount. */
const TABLE_AGE_MS_MAX = 1000;
const FDINFO_BYTES_MAX = 4096;

/** Kernel interfaces and memory: what they hold is no slower than the cache, or changes without its stat showing it. */
const BYPASSED_TYPES = new Set(
  (
    "autofs binder binfmt_misc bpf cgroup cgroup2 configfs cpuset debugfs devpts devtmpfs efivarfs fusectl " +
    "hugetlbfs mqueue nfsd nsfs pipefs proc pstore ramfs resctrl rootfs rpc_pipefs securityfs selinuxfs smackfs " +
    "sockfs sysfs tmpfs tracefs"
  ).split(" "),
);
/** Their inode numbers may change while the file stays the same. */
const UNSTABLE_INODE_TYPES = /^(?:fuse(?:\..*|blk)?|vfat|msdos|exfat)$/;
const NETWORK_TYPES = /^(?:nfs4?|cifs|smb3?|ceph|afs|9p|fuse\..*)$/;

/** Where open, fstat and close do not wait for anybody, once the inode is in memory. Unknown types are not among them. */
const LOCAL_TYPES = new Set(
  "bcachefs btrfs erofs ext2 ext3 ext4 exfat f2fs iso9660 jfs msdos overlay ramfs squashfs tmpfs udf vfat xfs zfs".split(
    " ",
  ),
);

/** Whether a look at a file there cannot hang. */
export function isLocal(mount: Mount): boolean {
  return LOCAL_TYPES.has(mount.fsType);
}

/** Whether files there are read from the origin at all times, unless the origin was named by the user. */
export function isBypassed(mount: Mount): boolean {
  return BYPASSED_TYPES.has(mount.fsType);
}

/** Whether st_ino there says anything about a file's identity. */
export function hasStableInodes(mount: Mount): boolean {
  return !UNSTABLE_INODE_TYPES.test(mount.fsType);
}

/** Looks up mounts of open descriptors; keeps the mount table for up to a second. */
export class MountTable {
  #mounts = new Map<number, Mount>();
  #readAtMs = Number.NEGATIVE_INFINITY;
  readonly #infoBuffer = Buffer.alloc(FDINFO_BYTES_MAX);

  /** The mount an open descriptor lies on; undefined when it is mounted nowhere that this process can see. */
  of(descriptor: number): Mount | undefined {
    const id = this.#mountId(descriptor);
    if (id === undefined) return undefined;
    const nowMs = performance.now();
    if (nowMs - this.#readAtMs > TABLE_AGE_MS_MAX || !this.#mounts.has(id)) {
      this.#mounts = parseMountInfo(readFileSync("/proc/self/mountinfo", "latin1"));
      this.#readAtMs = nowMs;
    }
    return this.#mounts.get(id);
  }

  #mountId(descriptor: number): number | undefined {
    const info = openSync(`/proc/self/fdinfo/${descriptor}`, "r");
    try {
      const bytes = readSync(info, this.#infoBuffer);
      const match = /^mnt_id:\s*(\d+)$/m.exec(this.#infoBuffer.toString("latin1", 0, bytes));
      return match === null ? undefined : Number(match[1]);
    } finally {
      closeSync(info);
    }
  }
}

/**
 * Reads /proc/self/mountinfo. Identities are looked up when they are first asked for.
 * @param text its bytes as latin1, so that names of any bytes survive.
 */
export function parseMountInfo(text: string): Map<number, Mount> {
  const mounts = new Map<number, Mount>();
  for (const line of text.split("\n")) {
    // id parent major:minor root point options [optional fields…] - type source super-options
    const fields = line.split(" ");
    const dash = fields.indexOf("-", 6);
    const [id, , device, , point] = fields;
    const [fsType, source, superOptions] = fields.slice(dash + 1);
    if (dash < 0 || id === undefined || device === undefined || point === undefined) continue;
    if (fsType === undefined) continue;
    let identity: Buffer | undefined;
    const named = {
      id: Number(id),
      device,
      point: unescape(point),
      fsType,
      source: source ?? "",
      superOptions: superOptions ?? "",
    };
    mounts.set(named.id, {
      ...named,
      get identity(): Buffer {
        return (identity ??= identityOf(named));
      },
    });
  }
  return mounts;
}

/** The kernel writes space, tab, newline and backslash as a backslash and three octal digits. */
function unescape(field: string): Buffer {
  const text = field.replaceAll(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
  return Buffer.from(text, "latin1");
}

/**
 * What names the file system on a mount, the same for every user and after a reboot wherever that can be had without
 * privileges:
 * - on a network, `net:<type>:<source>`, where source is server:/export;
 * - on a device whose UUID udev knows, `uuid:<UUID>`;
 * - in memory, `boot:<boot id>:<major:minor>`, for it ends with the boot;
 * - on another device, `dev:<type>:<source>:<major:minor>`. Another disk may one day bear that name, and then inode
 *   number, size and both times of a file still have to agree to the nanosecond;
 * - without a device (overlay), `super:<type>:<source>:<super options>`, which name the layers.
 */
export function identityOf(mount: MountFields): Buffer {
  const { device, fsType, source } = mount;
  if (NETWORK_TYPES.test(fsType)) {
    return Buffer.from(`net:${fsType === "nfs4" ? "nfs" : fsType}:${source}`, "latin1");
  }
  if (BYPASSED_TYPES.has(fsType)) {
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
    return Buffer.from(`boot:${boot}:${device}`, "latin1");
  }
  if (device.startsWith("0:") && !source.startsWith("/")) {
    return Buffer.from(`super:${fsType}:${source}:${mount.superOptions}`, "latin1");
  }
  const uuid = uuidByLink(source) ?? uuidByUdev(device);
  return Buffer.from(uuid === undefined ? `dev:${fsType}:${source}:${device}` : `uuid:${uuid}`, "latin1");
}

function uuidByLink(source: string): string | undefined {
  const wanted = optional(() => statSync(source).rdev);
  const names = optional(() => readdirSync("/dev/disk/by-uuid"));
  if (wanted === undefined || names === undefined) return undefined;
  return names.find((name) => optional(() => statSync(`/dev/disk/by-uuid/${name}`).rdev) === wanted);
}

function uuidByUdev(device: string): string | undefined {
  const text = optional(() => readFileSync(`/run/udev/data/b${device}`, "latin1"));
  return text === undefined ? undefined : /^E:ID_FS_UUID=(.+)$/m.exec(text)?.[1];
}

/** What a look-up gives, or undefined where the thing is not there or not for us; anything else is thrown. */
function optional<Value>(look: () => Value): Value | undefined {
  try {
    return look();
  } catch (error) {
    if (["ENOENT", "EACCES", "EPERM", "ENOTDIR", "ENODEV", "ENXIO"].includes(errnoOf(error) ?? ""))
      return undefined;
    throw error;
  }
}
