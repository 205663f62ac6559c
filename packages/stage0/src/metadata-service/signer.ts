// Identity of pods: signatures that say which pod a text comes from (contract stage1 6.4). Runs in the metadata service.

import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

import type { Uuid } from '@rkt/spec/uuid';

const KEY_BYTES = 64;

/** Signs with a key that nobody else has and that is gone with the process. It is used for nothing else. */
export class Signer {
  readonly #key = randomBytes(KEY_BYTES);

  /** HMAC-SHA512 over the 16 bytes of the UUID and the content. */
  sign(uuid: Uuid, content: Buffer): Buffer {
    const identity = Buffer.from(uuid.replaceAll('-', ''), 'hex');
    return createHmac('sha512', this.#key).update(identity).update(content).digest();
  }

  verify(uuid: Uuid, content: Buffer, signature: Buffer): boolean {
    const expected = this.sign(uuid, content);
    return signature.length === expected.length && timingSafeEqual(signature, expected);
  }
}
