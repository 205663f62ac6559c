// Writes cpio archives in the form `newc`, which the kernel unpacks as its first root (kernel documentation,
// driver-api/early-userspace/buffer-format). Runs at build time.

/** One file of an archive. Paths are relative, without a leading slash; parents come first. */
export type NewcEntry = { readonly name: string; readonly mode: number } & (
  | { readonly type: 'directory' }
  | { readonly type: 'file'; readonly content: Buffer }
  | { readonly type: 'symlink'; readonly target: string }
  | { readonly type: 'device'; readonly major: number; readonly minor: number }
);

const MAGIC = '070701';
const TRAILER = 'TRAILER!!!';

/** st_mode of inode(7). */
const TYPE_BITS = { directory: 0o040000, file: 0o100000, symlink: 0o120000, device: 0o020000 } as const;

/** The archive of these entries: owned by root, dated `mtime` (seconds), the same bytes for the same entries. */
export function newcArchive(entries: readonly NewcEntry[], mtime: number): Buffer {
  const parts = entries.flatMap((entry, index) => {
    const content = contentOf(entry);
    return member(entry.name, content, {
      inode: index + 1,
      mode: TYPE_BITS[entry.type] | entry.mode,
      links: entry.type === 'directory' ? 2 : 1,
      mtime,
      ...(entry.type === 'device' ? { major: entry.major, minor: entry.minor } : {}),
    });
  });
  return Buffer.concat([...parts, ...member(TRAILER, Buffer.alloc(0), { links: 1 })]);
}

function contentOf(entry: NewcEntry): Buffer {
  if (entry.type === 'file') return entry.content;
  return Buffer.from(entry.type === 'symlink' ? entry.target : '');
}

interface Numbers {
  readonly inode?: number;
  readonly mode?: number;
  readonly links: number;
  readonly mtime?: number;
  readonly major?: number;
  readonly minor?: number;
}

function member(
  name: string,
  content: Buffer,
  { inode = 0, mode = 0, links, mtime = 0, major = 0, minor = 0 }: Numbers,
): Buffer[] {
  if (name === '' || name.startsWith('/') || name.includes('\0')) {
    throw new Error(`${JSON.stringify(name)}: no name for a file of an archive`);
  }
  const path = Buffer.from(`${name}\0`);
  // Inode, mode, uid, gid, links, mtime, size, device, device of a node, length of the name, checksum.
  const numbers = [inode, mode, 0, 0, links, mtime, content.length, 0, 0, major, minor, path.length, 0];
  if (numbers.some((number) => number < 0 || number > 0xffff_ffff)) {
    throw new Error(`${name}: a number does not fit into eight hexadecimal digits`);
  }
  const header = Buffer.from(MAGIC + numbers.map((number) => number.toString(16).padStart(8, '0')).join(''));
  return [padded(Buffer.concat([header, path])), padded(content)];
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);
}
