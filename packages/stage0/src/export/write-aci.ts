// Writes a directory tree as a gzip-compressed ACI: rootfs first, manifest last (contract stage0 8.18). Runs in stage0.

import { once } from 'node:events';
import {
  closeSync,
  createWriteStream,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
} from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { finished } from 'node:stream/promises';
import { createGzip } from 'node:zlib';

import { writeStderr } from '@rkt/diagnostics/logger';
import { quote } from '@rkt/diagnostics/quote';
import type { Kernel } from '@rkt/linux/kernel';
import type { UidRange } from '@rkt/pod-layout/files';

import { BLOCK_SIZE, encodeHeaders, type EntryType, padding, type TarEntry } from './tar-headers.ts';

/** What goes into the ACI. */
/** The id that stands for all that a user namespace has no name for (user_namespaces(7)). */
const NOBODY = 65534;

export interface AciSource {
  readonly rootfs: string;
  readonly manifest: string;
  /** Ids of a user-namespaced pod, to be shifted back. */
  readonly privateUsers: UidRange | undefined;
}

type Sink = (chunk: Buffer) => Promise<void>;

const READ_BYTES = 1 << 20;
const FILE_MODE = 0o644;

/** Writes `source` to `file`, which must not exist. */
export async function writeAci(kernel: Kernel, source: AciSource, file: string): Promise<void> {
  const gzip = createGzip({ chunkSize: 256 * 1024 });
  const out = createWriteStream(file, { flags: 'wx', mode: FILE_MODE });
  gzip.pipe(out);
  const done = finished(out);
  // Whatever fails first, the write loop or the file, is what the caller hears of.
  const failed = done.then(() => new Promise<never>(() => undefined));
  const sink: Sink = async (chunk) => {
    if (!gzip.write(chunk)) await Promise.race([once(gzip, 'drain'), failed]);
  };
  try {
    const tree = new TreeWriter(kernel, source, sink);
    await tree.write();
    const manifest = Buffer.from(source.manifest);
    await sink(encodeHeaders(plainFile('manifest', manifest.length)));
    await sink(Buffer.concat([manifest, padding(manifest.length), Buffer.alloc(2 * BLOCK_SIZE)]));
    gzip.end();
  } catch (error) {
    out.destroy();
    done.catch(() => undefined);
    throw error;
  }
  await done;
}

function plainFile(name: string, sizeBytes: number): TarEntry {
  return { name: Buffer.from(name), type: 'File', mode: FILE_MODE, uid: 0, gid: 0, sizeBytes, mtimeNs: 0n };
}

class TreeWriter {
  readonly #kernel: Kernel;
  readonly #source: AciSource;
  readonly #sink: Sink;
  readonly #linked = new Map<string, Buffer>();
  readonly #buffer = Buffer.allocUnsafe(READ_BYTES);

  constructor(kernel: Kernel, source: AciSource, sink: Sink) {
    this.#kernel = kernel;
    this.#source = source;
    this.#sink = sink;
  }

  async write(): Promise<void> {
    await this.#entry(Buffer.from(this.#source.rootfs), Buffer.from('rootfs'));
  }

  async #entry(path: Buffer, name: Buffer): Promise<void> {
    const stat = lstatSync(path, { bigint: true });
    const type = typeOf(stat);
    if (type === undefined) {
      writeStderr(`export: skipping socket ${quote(name.toString())}\n`);
      return;
    }
    const first = this.#firstName(stat, name);
    if (first !== undefined) {
      await this.#sink(encodeHeaders({ ...this.#describe(path, name, stat, 'Link'), linkName: first }));
      return;
    }
    const entry = this.#describe(path, name, stat, type);
    await this.#sink(encodeHeaders(entry));
    if (type === 'File') await this.#content(path, entry.sizeBytes);
    if (type === 'Directory') await this.#children(path, name);
  }

  // The name under which a hard-linked file was written already.
  #firstName(stat: BigIntStats, name: Buffer): Buffer | undefined {
    if (stat.isDirectory() || stat.nlink < 2n) return undefined;
    const key = `${stat.dev}:${stat.ino}`;
    const first = this.#linked.get(key);
    if (first === undefined) this.#linked.set(key, name);
    return first;
  }

  // As the pod sees it: who is none of its users is nobody.
  #unshifted(id: bigint): number {
    const { shift, count } = this.#source.privateUsers ?? { shift: 0, count: Infinity };
    const inPod = Number(id) - shift;
    return inPod >= 0 && inPod < count ? inPod : NOBODY;
  }

  #describe(path: Buffer, name: Buffer, stat: BigIntStats, type: EntryType): TarEntry {
    const device = type === 'CharacterDevice' || type === 'BlockDevice';
    return {
      name: type === 'Directory' ? Buffer.concat([name, Buffer.from('/')]) : name,
      type,
      mode: Number(stat.mode) & 0o7777,
      uid: this.#unshifted(stat.uid),
      gid: this.#unshifted(stat.gid),
      sizeBytes: type === 'File' ? Number(stat.size) : 0,
      mtimeNs: stat.mtimeNs,
      ...(type === 'SymbolicLink' && { linkName: readlinkSync(path, { encoding: 'buffer' }) }),
      ...(device && { deviceMajor: major(stat.rdev), deviceMinor: minor(stat.rdev) }),
      ...(type === 'File' && { xattrs: this.#xattrs(path) }),
    };
  }

  #xattrs(path: Buffer): Map<string, Buffer> {
    const kept = this.#kernel
      .llistXattr(path)
      .filter((name) => name.startsWith('user.') && !name.startsWith('user.overlay.'))
      .concat(this.#kernel.llistXattr(path).includes('security.capability') ? ['security.capability'] : []);
    return new Map(kept.map((name) => [name, this.#kernel.lgetXattr(path, name)]));
  }

  async #content(path: Buffer, sizeBytes: number): Promise<void> {
    const fd = openSync(path, 'r');
    try {
      let left = sizeBytes;
      while (left > 0) {
        const count = readSync(fd, this.#buffer, 0, Math.min(READ_BYTES, left), null);
        // A file that shrinks while it is read still has to fill the size its header promised.
        const chunk =
          count === 0 ? Buffer.alloc(Math.min(READ_BYTES, left)) : this.#buffer.subarray(0, count);
        await this.#sink(Buffer.from(chunk));
        left -= chunk.length;
      }
    } finally {
      closeSync(fd);
    }
    await this.#sink(padding(sizeBytes));
  }

  async #children(path: Buffer, name: Buffer): Promise<void> {
    const slash = Buffer.from('/');
    const names = readdirSync(path, { encoding: 'buffer' }).toSorted(Buffer.compare);
    for (const child of names) {
      await this.#entry(Buffer.concat([path, slash, child]), Buffer.concat([name, slash, child]));
    }
  }
}

function typeOf(stat: BigIntStats): EntryType | undefined {
  if (stat.isFile()) return 'File';
  if (stat.isDirectory()) return 'Directory';
  if (stat.isSymbolicLink()) return 'SymbolicLink';
  if (stat.isCharacterDevice()) return 'CharacterDevice';
  if (stat.isBlockDevice()) return 'BlockDevice';
  return stat.isFIFO() ? 'FIFO' : undefined;
}

// The split of a device number in makedev(3).
function major(device: bigint): number {
  return Number(((device >> 8n) & 0xfffn) | ((device >> 32n) & ~0xfffn));
}

function minor(device: bigint): number {
  return Number((device & 0xffn) | ((device >> 12n) & ~0xffn));
}
