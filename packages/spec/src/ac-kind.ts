// AC Kind: which manifest a JSON text is (contract stage0 3.1). Pure; runs in every process.

import { printable } from '@rkt/diagnostics/quote';

import { scalar } from './codec.ts';
import type { Codec } from './codec.ts';
import { refuse } from './errors.ts';

export type AcKind = 'ImageManifest' | 'PodManifest';

/** `kind` if it is an AC Kind. @throws SpecError */
export function parseAcKind(kind: string): AcKind {
  if (kind === '') refuse('ACKind must be set');
  return kind === 'ImageManifest' || kind === 'PodManifest' ? kind : refuse(`bad ACKind: ${printable(kind)}`);
}

/** The complaint about a manifest without kind or of the other kind. */
export function missingKind(wanted: AcKind): string {
  return `missing or bad ACKind (must be "${wanted}")`;
}

/** The codec of the acKind of one sort of manifest. */
export function acKind<K extends AcKind>(wanted: K): Codec<K> {
  return scalar('ACKind', (kind) => (parseAcKind(kind) === wanted ? wanted : refuse(missingKind(wanted))));
}
