// Unpacks an archive in memory the way an image is unpacked, for tests. Runs in the test process.

import { mkdirSync } from 'node:fs';

import { openKernel } from '@rkt/linux/libc';

import { AciReader } from '../aci-reader.ts';
import { type ArchiveLimits, DEFAULT_LIMITS } from '../limits.ts';
import { TarReader } from '../tar-reader.ts';
import { type ContentDigests, TreeWriter, type TreeWriterOptions } from '../tree-writer.ts';

/** How {@link unpackArchive} works. */
export interface UnpackOptions extends Partial<TreeWriterOptions> {
  readonly limits?: Partial<ArchiveLimits>;
  /** Bytes the archive is pushed in at a time; all at once by default. */
  readonly pieceBytes?: number;
}

/** Unpacks `archive` to `rootfs`, which is made. Returns the manifest's text. Throws what unpacking throws. */
export function unpackArchive(
  archive: Buffer,
  rootfs: string,
  options: UnpackOptions = {},
): { manifest: string; digests: ContentDigests } {
  const { limits, pieceBytes = archive.length, ...writing } = options;
  const all = { ...DEFAULT_LIMITS, ...limits };
  mkdirSync(rootfs, { recursive: true });
  const writer = new TreeWriter(openKernel(), rootfs, {
    privileged: process.getuid?.() === 0,
    digests: true,
    warn: () => undefined,
    ...writing,
  });
  try {
    const aci = new AciReader(writer, all);
    const tar = new TarReader(aci, all);
    for (let at = 0; at < archive.length; at += pieceBytes) tar.write(archive.subarray(at, at + pieceBytes));
    tar.end();
    return { manifest: aci.manifestText(), digests: writer.finish() };
  } finally {
    writer.abort();
  }
}
