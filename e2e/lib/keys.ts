// Signing keys for suites, and images signed with them. Runs in the mocha process.

import { readFileSync, writeFileSync } from 'node:fs';

import { GpgHome, type GpgSignOptions } from '@rkt/testkit/gpg-keys';

import type { Rkt } from './rkt.ts';

/** A key pair. */
export interface SigningKey {
  /** 40 lower-case hex digits. */
  readonly fingerprint: string;
  readonly userId: string;
  readonly publicKey: Buffer;
  /** Signs bytes, detached and armored unless the options say otherwise. */
  sign(content: Uint8Array, options?: GpgSignOptions): Buffer;
  /** Signs an image file; returns the path of its signature, beside the image or at `to`. */
  signFile(image: string, to?: string): string;
}

/** Keys that go away with the suite. */
export class SigningKeys implements Disposable {
  readonly #gpg = new GpgHome();

  /** GNUPGHOME of programs that sign with these keys. */
  get home(): string {
    return this.#gpg.path;
  }

  /** Makes a key. */
  make(userId: string, algorithm = 'ed25519'): SigningKey {
    const key = this.#gpg.makeKey(userId, { algorithm });
    const sign = (content: Uint8Array, options?: GpgSignOptions): Buffer =>
      this.#gpg.sign(content, key, options);
    return {
      fingerprint: key.toLowerCase(),
      userId,
      publicKey: this.#gpg.exportKey(key),
      sign,
      signFile: (image, to = image.replace(/\.aci$/, '.aci.asc')) => {
        writeFileSync(to, sign(readFileSync(image)));
        return to;
      },
    };
  }

  [Symbol.dispose](): void {
    this.#gpg.remove();
  }
}

/** Trusts `key` for `prefix`, or for all images, without asking. */
export async function trustKey(
  rkt: Rkt,
  { publicKey, fingerprint }: SigningKey,
  prefix?: string,
): Promise<void> {
  const file = rkt.tmp.join(`${fingerprint}.asc`);
  writeFileSync(file, publicKey);
  const scope = prefix === undefined ? '--root' : `--prefix=${prefix}`;
  await rkt.ok(['trust', scope, '--skip-fingerprint-review', file]);
}
