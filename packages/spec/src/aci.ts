// What an ACI file is: how its first bytes tell the compression and what its entries may be (contract stage0
// 3.7). Pure: reading archives is stage0's. Runs in every process.

import { posix } from 'node:path';

import { quote } from '@rkt/diagnostics/quote';

import { SpecError } from './errors.ts';

/** How the tar archive inside an ACI file is packed. */
export type AciCompression = 'gzip' | 'bzip2' | 'xz' | 'zstd' | 'none';

const ACI_EXTENSION = '.aci';

const MAGIC: readonly (readonly [AciCompression, offset: number, bytes: readonly number[]])[] = [
  ['gzip', 0, [0x1f, 0x8b]],
  ['bzip2', 0, [0x42, 0x5a, 0x68]],
  ['xz', 0, [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ['zstd', 0, [0x28, 0xb5, 0x2f, 0xfd]],
  // "ustar" in the header of the first entry.
  ['none', 257, [0x75, 0x73, 0x74, 0x61, 0x72]],
];

/**
 * The compression of an ACI file by its first 512 bytes.
 *
 * @throws SpecError `bad-aci` when it is none we know.
 */
export function detectCompression(first512: Uint8Array): AciCompression {
  const match = MAGIC.find(([, offset, bytes]) =>
    bytes.every((byte, index) => first512[offset + index] === byte),
  );
  if (match === undefined) throw new SpecError('bad-aci', 'error: unknown image filetype');
  return match[0];
}

/** Whether the last component of `path` (or of a URL's path) has the extension `.aci`. */
export function hasAciExtension(path: string): boolean {
  return posix.basename(path).endsWith(ACI_EXTENSION);
}

/** What an archive entry is to an ACI. */
export type AciEntry =
  | { readonly kind: 'manifest' }
  /** `path` is absolute inside the image and clean: `/` for `rootfs` itself. */
  | { readonly kind: 'rootfs'; readonly path: string }
  | { readonly kind: 'outside' };

/** The role of the entry called `name`; the name is cleaned first, so `./manifest` counts. */
export function classifyEntry(name: string): AciEntry {
  const [top = '', ...below] = posix.normalize(name).split('/');
  if (top === 'manifest' && below.length === 0) return { kind: 'manifest' };
  if (top !== 'rootfs') return { kind: 'outside' };
  return { kind: 'rootfs', path: `/${below.filter((part) => part !== '').join('/')}` };
}

/** Checks the layout of a whole ACI, entry by entry: what we write must be more than readable. */
export interface AciLayout {
  /** @throws SpecError `bad-aci` for a path seen twice or outside the layout. */
  entry(name: string, isDirectory: boolean): void;
  /** To be called after the last entry. @throws SpecError `bad-aci` when something is missing. */
  finish(): void;
}

/** A fresh layout check. */
export function aciLayout(): AciLayout {
  const seen = new Set<string>();
  const fail = (message: string): never => {
    throw new SpecError('bad-aci', message);
  };
  return {
    entry(name, isDirectory) {
      const entry = classifyEntry(name);
      if (entry.kind === 'outside') fail(`unrecognized file path in image: ${quote(name)}`);
      const path = entry.kind === 'rootfs' ? `rootfs${entry.path}` : 'manifest';
      if (seen.has(path)) fail(`duplicate file entry in image: ${quote(name)}`);
      if (path === 'rootfs/' && !isDirectory) fail('rootfs is not a directory');
      seen.add(path);
    },
    finish() {
      if (!seen.has('manifest')) fail('missing manifest');
      if (!seen.has('rootfs/')) fail('missing rootfs');
    },
  };
}
