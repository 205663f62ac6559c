// Shows a public key so that its fingerprint can be compared with what its owner published (contract stage0 6.5).
// Runs in stage0.

import { writeStdout } from '@rkt/diagnostics/logger';
import { printable } from '@rkt/diagnostics/quote';
import type { Key } from 'openpgp';

import { identitiesOf } from './public-key.ts';

/** Writes fingerprints and user IDs to stdout. */
export async function showKey(key: Key): Promise<void> {
  const lines = [
    `gpg key fingerprint is: ${spacedFingerprint(key.getFingerprint())}`,
    ...key.subkeys.map(
      ({ keyPacket }) => `    Subkey fingerprint: ${spacedFingerprint(keyPacket.getFingerprint())}`,
    ),
    // Whoever made the key chose these.
    ...(await identitiesOf(key)).map((identity) => `\t${printable(identity)}`),
  ];
  writeStdout(`${lines.join('\n')}\n`);
}

/** As gpg prints it: groups of four digits, a wider gap in the middle. */
export function spacedFingerprint(hex: string): string {
  const groups = hex.toUpperCase().match(/.{1,4}/g) ?? [];
  const half = groups.length / 2;
  return `${groups.slice(0, half).join(' ')}  ${groups.slice(half).join(' ')}`;
}
