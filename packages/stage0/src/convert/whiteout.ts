// Names by which a layer takes files of the layers below away (OCI image-spec layer.md, contract stage0 5.5). Pure;
// runs in stage0.

import { type BytePath, parentOf, readable } from '../unpack/byte-path.ts';
import { refuse } from '../unpack/errors.ts';

const MARK = '.wh.';
const OPAQUE = '.wh..wh..opq';

/** What an entry takes away: everything in a directory, or one path. */
export type Whiteout = { readonly kind: 'opaque' | 'path'; readonly path: BytePath };

/** The whiteout that an entry called `path` is; undefined for an ordinary entry. @throws UnpackError `unsafe-entry` */
export function whiteoutOf(path: BytePath): Whiteout | undefined {
  if (!path.includes(MARK)) return undefined;
  const names = path.split('/');
  if (names.at(-1) === OPAQUE) return { kind: 'opaque', path: parentOf(path) };
  const marked = names.findIndex((name) => name.startsWith(MARK));
  if (marked === -1) return undefined;
  const hidden = names[marked]?.slice(MARK.length) ?? '';
  if (['', '.', '..'].includes(hidden)) refuse('unsafe-entry', `whiteout ${readable(path)} names no file`);
  names[marked] = hidden;
  return { kind: 'path', path: names.join('/') };
}
