// Digests of the OCI image specification, and streams that are checked against them. Pure; runs in stage0.

import { createHash } from 'node:crypto';

import { quote } from '@rkt/diagnostics/quote';

import { DockerError, refuse } from './errors.ts';

/** A digest that is safe in a path or URL: nothing but the algorithm and lower-case hex digits. */
export interface Digest {
  readonly algorithm: 'sha256' | 'sha512';
  readonly hex: string;
  /** `sha256:<hex>`. */
  readonly text: string;
}

/**
 * Reads a digest. What is not exactly one of the registered algorithms is refused, before anything is looked up by it.
 * @param where What has the digest, for the message.
 * @throws DockerError `bad-image`
 */
export function parseDigest(text: string, where: string): Digest {
  const match = /^(?:(sha256):([0-9a-f]{64})|(sha512):([0-9a-f]{128}))$/.exec(text);
  if (match === null || text.endsWith('\n'))
    return refuse('bad-image', `${where}: bad digest ${quote(text.slice(0, 200))}`);
  const [, , sha256, , sha512 = ''] = match;
  return sha256 === undefined
    ? { algorithm: 'sha512', hex: sha512, text }
    : { algorithm: 'sha256', hex: sha256, text };
}

/** The sha256 digest of `bytes`. */
export function sha256Of(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** @throws DockerError `digest-mismatch` */
export function checkDigest(bytes: Uint8Array, { algorithm, text }: Digest, what: string): void {
  const found = `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`;
  if (found !== text) throw mismatch(what, text, found);
}

/** What a stream has to be. */
export interface Expected {
  readonly digest: Digest;
  /** -1: the digest alone decides. */
  readonly sizeBytes: number;
  /** For messages, e.g. `layer sha256:...`. */
  readonly what: string;
}

/**
 * The bytes of `source`; throws where it would end if they are not what they have to be, and as soon as they are more.
 * @throws DockerError `digest-mismatch`
 */
export async function* verified(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  { digest, sizeBytes, what }: Expected,
): AsyncGenerator<Uint8Array, void, undefined> {
  const hash = createHash(digest.algorithm);
  let length = 0;
  for await (const chunk of source) {
    length += chunk.length;
    if (sizeBytes >= 0 && length > sizeBytes) {
      refuse('digest-mismatch', `${what} is longer than the ${sizeBytes} bytes that were announced`);
    }
    hash.update(chunk);
    yield chunk;
  }
  if (sizeBytes >= 0 && length < sizeBytes) {
    refuse('digest-mismatch', `${what} ends after ${length} of ${sizeBytes} bytes`);
  }
  const found = `${digest.algorithm}:${hash.digest('hex')}`;
  if (found !== digest.text) throw mismatch(what, digest.text, found);
}

function mismatch(what: string, wanted: string, found: string): DockerError {
  const but = what.includes(wanted) ? '' : ` ${wanted}`;
  return new DockerError('digest-mismatch', `${what} is not what its digest${but} says: it is ${found}`);
}
