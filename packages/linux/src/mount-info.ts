// Reads /proc/PID/mountinfo (proc_pid_mountinfo(5)). Runs in stage0 and stage1.

import { readFileSync } from 'node:fs';

import { LinuxError } from './errors.ts';
import { withKernelErrors } from './errno.ts';

/** One mount of a mount namespace. Names are unescaped. */
export interface MountEntry {
  readonly id: number;
  readonly parentId: number;
  /** `major:minor` of the file system. */
  readonly majorMinor: string;
  /** The directory of the file system that is the root of this mount. */
  readonly root: string;
  /** Where it is mounted, relative to the reading process's root. */
  readonly mountPoint: string;
  /** The same as bytes, only when it is not UTF-8 and `mountPoint` therefore does not name it. */
  readonly mountPointBytes?: Buffer;
  /** Options of this mount, e.g. `ro`, `nosuid`. */
  readonly options: readonly string[];
  /** `shared:N`, `master:N`, `propagate_from:N`, `unbindable`. */
  readonly optionalFields: readonly string[];
  readonly fsType: string;
  readonly source: string;
  /** Options of the file system. */
  readonly superOptions: readonly string[];
}

/** The mounts a process sees, in the kernel's order. Throws KernelError, or LinuxError for a line it cannot read. */
export function readMountInfo(pid: number | 'self' = 'self'): MountEntry[] {
  const path = `/proc/${pid}/mountinfo`;
  // Bytes as characters: mount points need not be UTF-8.
  return parseMountInfo(withKernelErrors(path, () => readFileSync(path, 'latin1')));
}

/** Parses mountinfo text that was read as latin1, one character for each byte. */
export function parseMountInfo(text: string): MountEntry[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map(parseLine);
}

function parseLine(line: string): MountEntry {
  const fields = line.split(' ');
  const separator = fields.indexOf('-', 6);
  const [id, parentId, majorMinor, root, mountPoint, options] = fields;
  const [fsType, source, superOptions] = fields.slice(separator + 1);
  if (separator === -1 || fsType === undefined || superOptions === undefined || options === undefined) {
    throw new LinuxError('bad-proc-file', `cannot read mountinfo line ${JSON.stringify(line)}`);
  }
  const point = unescapeBytes(mountPoint ?? '');
  const pointText = decode(point);
  return {
    id: Number(id),
    parentId: Number(parentId),
    majorMinor: majorMinor ?? '',
    root: decode(unescapeBytes(root ?? '')),
    mountPoint: pointText,
    ...(Buffer.from(pointText, 'utf8').equals(point) ? {} : { mountPointBytes: point }),
    options: options.split(','),
    optionalFields: fields.slice(6, separator),
    fsType: decode(unescapeBytes(fsType)),
    source: decode(unescapeBytes(source ?? '')),
    superOptions: decode(unescapeBytes(superOptions)).split(','),
  };
}

/**
 * Undoes the kernel's escapes (`\040` and the like, seq_escape) in text of one character for each byte. The kernel
 * writes three octal digits for space, tab, newline, backslash and `#`; any byte in that form is understood.
 */
export function unescapeBytes(field: string): Buffer {
  if (!field.includes('\\')) return Buffer.from(field, 'latin1');
  const plain = field.replace(/\\([0-3][0-7]{2})/g, (_, octal: string) =>
    String.fromCharCode(parseInt(octal, 8)),
  );
  return Buffer.from(plain, 'latin1');
}

function decode(bytes: Buffer): string {
  return bytes.toString('utf8');
}

/**
 * The mounts at `path` and below it in the order to unmount them: children before parents, and of several on one
 * mount point the topmost first. `path` is absolute and free of symbolic links, as mount points are.
 */
export function mountsBelow(entries: readonly MountEntry[], path: string): MountEntry[] {
  const prefix = path === '/' ? '/' : `${path}/`;
  const below = entries.filter(({ mountPoint }) => mountPoint === path || mountPoint.startsWith(prefix));
  const chosen = new Set(below.map(({ id }) => id));
  const children = new Map<number, MountEntry[]>();
  const roots: MountEntry[] = [];
  for (const entry of below) {
    // The root mount of a namespace may name itself as its parent.
    if (!chosen.has(entry.parentId) || entry.parentId === entry.id) roots.push(entry);
    else children.set(entry.parentId, [...(children.get(entry.parentId) ?? []), entry]);
  }
  const ordered: MountEntry[] = [];
  const visit = (entry: MountEntry): void => {
    for (const child of (children.get(entry.id) ?? []).toReversed()) visit(child);
    ordered.push(entry);
  };
  for (const root of roots.toReversed()) visit(root);
  return ordered;
}

/** Whether something is mounted exactly at `path` (absolute, free of symbolic links). */
export function isMountPoint(path: string, entries: readonly MountEntry[] = readMountInfo()): boolean {
  return entries.some(({ mountPoint }) => mountPoint === path);
}
