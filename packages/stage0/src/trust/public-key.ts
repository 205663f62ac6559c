// OpenPGP public keys: reads them, shows them, and tells whether one is fit to vouch for an image. Loads the OpenPGP
// library, so it is imported where keys are used. Runs in stage0.

import { quote } from '@rkt/diagnostics/quote';
import { FINGERPRINT_PATTERN } from '@rkt/pod-layout/trusted-keys';
import { type Key, readKeys } from 'openpgp';

import { TrustError } from './errors.ts';
import type { KeyFile } from './keystore.ts';

/** All public keys in `content`, armored or binary. `from` is for messages. @throws TrustError `bad-key` */
export async function readPublicKeys(content: Uint8Array, from: string): Promise<Key[]> {
  let keys: Key[];
  try {
    keys = isArmored(content)
      ? await readKeys({ armoredKeys: Buffer.from(content).toString('latin1') })
      : await readKeys({ binaryKeys: new Uint8Array(content) });
  } catch (error) {
    throw new TrustError('bad-key', `${quote(from)} is not an OpenPGP public key: ${openpgpMessage(error)}`);
  }
  for (const key of keys) {
    if (key.isPrivate()) {
      throw new TrustError('bad-key', `${quote(from)} holds a private key`, {
        hint: 'keep it secret, and give the output of gpg --armor --export',
      });
    }
    // Newer keys have longer fingerprints, and no gpg of today makes them.
    if (!FINGERPRINT_PATTERN.test(key.getFingerprint())) {
      throw new TrustError('bad-key', `${quote(from)} is a key of a version that is not supported`);
    }
  }
  return keys;
}

/** The key of a file of the keystore. @throws TrustError when it is not the one the file is named after. */
export async function readTrustedKey({ path, fingerprint, content }: KeyFile): Promise<Key> {
  const [key] = await readPublicKeys(content, path);
  const actual = key?.getFingerprint() ?? '';
  if (key === undefined || actual !== fingerprint) {
    throw new TrustError('unsafe-key-file', `fingerprint mismatch: ${quote(fingerprint)}:${quote(actual)}`, {
      hint: `remove ${path}`,
    });
  }
  return key;
}

/** The user IDs that the key itself vouches for; anybody can put others into a key file. */
export async function identitiesOf(key: Key): Promise<string[]> {
  const identities: string[] = [];
  for (const user of key.users) {
    if (user.userID === null) continue;
    try {
      await user.verify();
      identities.push(user.userID.userID);
    } catch {
      // Not signed by the key, expired or revoked.
    }
  }
  return identities;
}

/** What the OpenPGP library says, in the form of the product's messages. */
export function openpgpMessage(error: unknown): string {
  const text = (error instanceof Error ? error.message : String(error)).split('\n', 1)[0] ?? '';
  return text === '' ? 'unknown error' : `${text.charAt(0).toLowerCase()}${text.slice(1)}`;
}

/** Whether OpenPGP data is in its text form. */
export function isArmored(content: Uint8Array): boolean {
  return Buffer.from(content).includes('-----BEGIN PGP ');
}
