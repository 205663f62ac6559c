// Keys and signatures made by GnuPG in a home directory of its own, for tests of signatures. Runs in the test process.

import { spawnSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';

import { TempDir } from './tmp.ts';

/** How a key is made. */
export interface GpgKeyOptions {
  /** As gpg's --quick-gen-key takes it, e.g. `rsa3072` or `ed25519`. */
  readonly algorithm?: string;
  /** E.g. `sign` or `cert`. */
  readonly usage?: string;
  /** E.g. `1d`, `seconds=60`; never by default. */
  readonly expires?: string;
  /** The date gpg believes it is. */
  readonly now?: Date;
}

/** How something is signed. */
export interface GpgSignOptions {
  readonly armor?: boolean;
  /** E.g. `SHA1`. */
  readonly digest?: string;
  readonly now?: Date;
  /** When the signature expires, e.g. `1d`. */
  readonly expires?: string;
  /** `detach` by default; `inline` puts the data into the signature, `clear` keeps it readable. */
  readonly form?: 'detach' | 'inline' | 'clear' | 'text';
}

/** A keyring with its agent; `using` or `remove()` ends both. */
export class GpgHome implements Disposable {
  readonly #tmp = new TempDir('gpg');

  constructor() {
    chmodSync(this.#tmp.path, 0o700);
  }

  /** The directory: GNUPGHOME of programs that sign with these keys. */
  get path(): string {
    return this.#tmp.path;
  }

  /** Makes a key pair; returns the fingerprint, 40 upper-case hex digits. */
  makeKey(userId: string, options: GpgKeyOptions = {}): string {
    const { algorithm = 'ed25519', usage = 'sign', expires = 'never', now } = options;
    const status = this.#gpg(['--quick-gen-key', userId, algorithm, usage, expires], { now });
    return created(status.stderr);
  }

  /** Adds a subkey to the key; returns its fingerprint. */
  addSubkey(key: string, options: GpgKeyOptions = {}): string {
    const { algorithm = 'ed25519', usage = 'sign', expires = 'never', now } = options;
    const before = new Set(this.#fingerprints(key));
    this.#gpg(['--quick-add-key', key, algorithm, usage, expires], { now });
    const added = this.#fingerprints(key).find((fingerprint) => !before.has(fingerprint));
    if (added === undefined) throw new Error(`gpg added no subkey to ${key}`);
    return added;
  }

  /** Adds a user ID. */
  addUserId(key: string, userId: string): void {
    this.#gpg(['--quick-add-uid', key, userId]);
  }

  /** Changes when the key, or one of its subkeys, expires. */
  setExpiry(
    key: string,
    expires: string,
    options: { readonly subkey?: string; readonly now?: Date } = {},
  ): void {
    const { subkey, now } = options;
    this.#gpg(['--quick-set-expire', key, expires, ...(subkey === undefined ? [] : [subkey])], { now });
  }

  /** Revokes the key, or its subkey of that number, counting from 1. */
  revoke(key: string, subkeyNumber?: number): void {
    const select = subkeyNumber === undefined ? [] : [`key ${subkeyNumber}`];
    const answers = [...select, 'revkey', 'y', '1', '', 'y', 'save'];
    this.#gpg(['--command-fd=0', '--edit-key', key], { input: `${answers.join('\n')}\n` });
  }

  /** The public key. */
  exportKey(key: string, armor = true): Buffer {
    return this.#gpg([...(armor ? ['--armor'] : []), '--export', key]).stdout;
  }

  /** The private key, armored. */
  exportSecretKey(key: string): Buffer {
    return this.#gpg(['--armor', '--export-secret-keys', key]).stdout;
  }

  /** Signs `content` with each of `signers`: fingerprints of keys, or of subkeys followed by `!`. */
  sign(content: Uint8Array, signers: string | readonly string[], options: GpgSignOptions = {}): Buffer {
    const { armor = true, digest = 'SHA512', now, expires, form = 'detach' } = options;
    const command = {
      detach: ['--detach-sign'],
      inline: ['--sign'],
      clear: ['--clear-sign'],
      text: ['--textmode', '--detach-sign'],
    };
    return this.#gpg(
      [
        ...(armor ? ['--armor'] : []),
        `--digest-algo=${digest}`,
        // gpg refuses some digests for new signatures unless told otherwise.
        '--allow-weak-digest-algos',
        ...(expires === undefined ? [] : [`--default-sig-expire=${expires}`]),
        ...[signers].flat().map((signer) => `--local-user=${signer}`),
        ...command[form],
      ],
      { input: content, now },
    ).stdout;
  }

  /** What gpg thinks of a detached signature: its status lines. */
  verify(content: Uint8Array, signature: Uint8Array): string {
    const [file, signatureFile] = [this.#tmp.join('content'), this.#tmp.join('content.sig')];
    writeFileSync(file, content);
    writeFileSync(signatureFile, signature);
    const args = ['--homedir', this.#tmp.path, '--batch', '--status-fd=1', '--verify', signatureFile, file];
    return spawnSync('gpg', args, { encoding: 'utf8' }).stdout;
  }

  remove(): void {
    spawnSync('gpgconf', ['--homedir', this.#tmp.path, '--kill', 'all']);
    this.#tmp.remove();
  }

  [Symbol.dispose](): void {
    this.remove();
  }

  #fingerprints(key: string): string[] {
    const listing = this.#gpg(['--with-colons', '--with-subkey-fingerprint', '--list-keys', key]).stdout;
    return [...listing.toString().matchAll(/^fpr:+([0-9A-F]{40}):/gm)].map((match) => match[1] ?? '');
  }

  #gpg(
    args: readonly string[],
    { input = '', now }: { readonly input?: string | Uint8Array; readonly now?: Date | undefined } = {},
  ): { readonly stdout: Buffer; readonly stderr: string } {
    const general = ['--homedir', this.#tmp.path, '--batch', '--yes', '--no-tty', '--status-fd=2'];
    const secret = ['--pinentry-mode=loopback', '--passphrase='];
    const time = now === undefined ? [] : [`--faked-system-time=${Math.floor(now.getTime() / 1000)}!`];
    const { status, stdout, stderr, error } = spawnSync('gpg', [...general, ...secret, ...time, ...args], {
      input,
      maxBuffer: 2 ** 31 - 1,
    });
    if (error !== undefined) throw error;
    if (status !== 0) throw new Error(`gpg ${args.join(' ')} failed:\n${stderr.toString()}`);
    return { stdout, stderr: stderr.toString() };
  }
}

function created(status: string): string {
  const fingerprint = /\[GNUPG:\] KEY_CREATED [PBS] ([0-9A-F]{40})/.exec(status)?.[1];
  if (fingerprint === undefined) throw new Error(`gpg made no key:\n${status}`);
  return fingerprint;
}
