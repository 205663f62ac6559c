// Verifies detached OpenPGP signatures of images against the keystore (contract stage0 6.2, 6.3). Runs in stage0.
//
// The image's bytes are hashed by node:crypto as they pass by, and the library judges the finished digest: an image is
// never in memory, and need not be read for its signature alone (decision 0012).

import { createHash, type Hash } from 'node:crypto';

import { quote } from '@rkt/diagnostics/quote';
import { config, enums, type Key, readSignature, SignaturePacket } from 'openpgp';

import { TrustError } from './errors.ts';
import type { Keystore } from './keystore.ts';
import { identitiesOf, isArmored, openpgpMessage, readTrustedKey } from './public-key.ts';

/** Who vouches for an image. */
export interface VerifiedSignature {
  /** User IDs of the key. */
  readonly identities: readonly string[];
  /** Of the primary key, 40 hex digits. */
  readonly fingerprint: string;
}

/** A signature that waits for the bytes it is about. */
export interface SignatureCheck {
  /** Takes the next bytes of the image, as they were downloaded. */
  update(bytes: Uint8Array): void;
  /**
   * Whether a key that is trusted for `imageName` signed the bytes; one good signature suffices.
   * @throws TrustError `unknown-signer`, `bad-signature`, `unsafe-key-file`, `bad-key`
   */
  finish(keystore: Keystore, imageName: string): Promise<VerifiedSignature>;
}

/** Reads a detached signature, armored or binary. @throws TrustError `no-signature` */
export async function beginVerification(signature: Uint8Array): Promise<SignatureCheck> {
  const packets = await readSignatures(signature);
  const hashes = new Map<number, Hash>();
  for (const { hashAlgorithm } of packets) {
    const name = HASHES.get(hashAlgorithm ?? 0);
    if (name !== undefined) hashes.set(hashAlgorithm ?? 0, createHash(name));
  }
  return {
    update: (bytes) => {
      for (const hash of hashes.values()) hash.update(bytes);
    },
    finish: async (keystore, imageName) => {
      const signers = await findSigners(packets, keystore, imageName);
      let failure: unknown;
      for (const [packet, key] of signers) {
        try {
          await checkPacket(packet, key, hashes.get(packet.hashAlgorithm ?? 0));
          return { identities: await identitiesOf(key), fingerprint: key.getFingerprint() };
        } catch (error) {
          failure ??= error;
        }
      }
      throw new TrustError('bad-signature', `openpgp: ${openpgpMessage(failure)}`, {
        hint: 'do not use the image; ask its publisher',
      });
    },
  };
}

/** Verifies `content`, the image called `imageName`, in one go. @throws TrustError */
export async function verifyDetached(
  keystore: Keystore,
  imageName: string,
  signature: Uint8Array,
  content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<VerifiedSignature> {
  const check = await beginVerification(signature);
  for await (const bytes of content) check.update(bytes);
  return check.finish(keystore, imageName);
}

/**
 * Whether anybody who is trusted for `imageName` made one of the signatures; says nothing about what they signed.
 * @throws TrustError `unknown-signer`, `no-signature`
 */
export async function assertKnownSigner(
  keystore: Keystore,
  imageName: string,
  signature: Uint8Array,
): Promise<void> {
  await findSigners(await readSignatures(signature), keystore, imageName);
}

// Digests that are good enough to sign an image; the library refuses the others by name.
const HASHES: ReadonlyMap<number, string> = new Map([
  [enums.hash.sha224, 'sha224'],
  [enums.hash.sha256, 'sha256'],
  [enums.hash.sha384, 'sha384'],
  [enums.hash.sha512, 'sha512'],
  [enums.hash.sha3_256, 'sha3-256'],
  [enums.hash.sha3_512, 'sha3-512'],
]);

// Each costs a verification; nobody has that many keys.
const MAX_SIGNATURES = 32;

async function readSignatures(signature: Uint8Array): Promise<SignaturePacket[]> {
  let packets: SignaturePacket[];
  try {
    const read = isArmored(signature)
      ? await readSignature({ armoredSignature: Buffer.from(signature).toString('latin1') })
      : await readSignature({ binarySignature: new Uint8Array(signature) });
    packets = [...read.packets].filter((packet) => packet instanceof SignaturePacket);
  } catch (error) {
    throw noSignature(`: ${openpgpMessage(error)}`);
  }
  if (packets.length === 0) throw noSignature('');
  if (packets.length > MAX_SIGNATURES) throw noSignature(`: more than ${MAX_SIGNATURES} signatures`);
  return packets;
}

function noSignature(reason: string): TrustError {
  return new TrustError('no-signature', `keystore: no valid signatures found in signature file${reason}`, {
    hint: 'make one with gpg --armor --detach-sign',
  });
}

type Signer = readonly [packet: SignaturePacket, key: Key];

async function findSigners(
  packets: readonly SignaturePacket[],
  keystore: Keystore,
  imageName: string,
): Promise<Signer[]> {
  const keys = await Promise.all(keystore.keyFilesFor(imageName).map(readTrustedKey));
  const signers = packets.flatMap((packet) =>
    keys.filter((key) => key.getKeys(packet.issuerKeyID).length > 0).map((key): Signer => [packet, key]),
  );
  if (signers.length > 0) return signers;
  const ids = [...new Set(packets.map(({ issuerKeyID }) => issuerKeyID.toHex().toUpperCase()))];
  throw new TrustError('unknown-signer', 'openpgp: signature made by unknown entity', {
    hint: `key ${ids.join(', ')}: if you trust its owner, run rkt trust --prefix ${quote(imageName)}`,
  });
}

async function checkPacket(packet: SignaturePacket, key: Key, hash: Hash | undefined): Promise<void> {
  const { signatureType, hashAlgorithm, created, issuerKeyID } = packet;
  if (signatureType !== enums.signature.binary) {
    // A text signature lets line ends change, and with them an image.
    throw new Error('the signature is not over the bytes of a file');
  }
  if (hash === undefined) {
    throw new Error(`insecure hash algorithm: ${hashName(hashAlgorithm)}`);
  }
  const [signingKey] = key.getKeys(issuerKeyID);
  if (signingKey === undefined || created === null) throw new Error('signature without a key or a date');
  const now = new Date();
  // The library takes a finished digest here, as it does itself for signatures of streams.
  Object.assign(packet, { hashed: hash.copy().update(hashedTrailer(packet)).digest() });
  await packet.verify(signingKey.keyPacket, signatureType, {}, now, true, config);
  if (signingKey.keyPacket.created > created) throw new Error('key is newer than the signature');
  // Now, not when it says it was made: whoever steals an old key can date signatures back. (A key that has not expired
  // by now had not then either, and its owner may have prolonged it since.)
  await key.getSigningKey(issuerKeyID, now);
}

// What is hashed behind the bytes of the file (RFC 9580 5.2.4).
function hashedTrailer({ version, signatureData }: SignaturePacket): Buffer {
  if (version !== 4 || signatureData === null) throw new Error(`unsupported signature version ${version}`);
  const end = Buffer.from([version, 0xff, 0, 0, 0, 0]);
  end.writeUInt32BE(signatureData.length, 2);
  return Buffer.concat([signatureData, end]);
}

function hashName(algorithm: number | null): string {
  const known = Object.entries(enums.hash).find(([, value]) => value === algorithm);
  return known === undefined ? `number ${algorithm}` : known[0].toUpperCase();
}
