// How an archive is compressed, told from its first bytes (contract stage0 3.7). Pure; runs in stage0.

import { refuse } from './errors.ts';

export type Compression = 'none' | 'gzip' | 'bzip2' | 'xz' | 'zstd';

/** Bytes {@link detectCompression} looks at. */
export const MAGIC_BYTES = 512;

const MAGICS: readonly (readonly [Compression, Buffer])[] = [
  ['gzip', Buffer.from([0x1f, 0x8b])],
  ['bzip2', Buffer.from('BZh')],
  ['xz', Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00])],
  ['zstd', Buffer.from([0x28, 0xb5, 0x2f, 0xfd])],
];

const USTAR_OFFSET = 257;

/** @throws UnpackError `bad-archive` when it is neither a tar archive nor a known compression. */
export function detectCompression(first: Buffer): Compression {
  const known = MAGICS.find(([, magic]) => first.subarray(0, magic.length).equals(magic));
  if (known !== undefined) return known[0];
  if (first.toString('latin1', USTAR_OFFSET, USTAR_OFFSET + 5) === 'ustar') return 'none';
  return refuse('bad-archive', 'error: unknown image filetype');
}
