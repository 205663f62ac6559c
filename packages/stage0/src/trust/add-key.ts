// Puts a key into the local part of the keystore (contract stage0 6.1). Runs in stage0.

import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  fchmodSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';

import { quote } from '@rkt/diagnostics/quote';
import { hasCode } from '@rkt/diagnostics/rkt-error';
import { withKernelErrors } from '@rkt/linux/errno';
import {
  KEYSTORE_DIR_MODE,
  KEYSTORE_FILE_MODE,
  prefixKeysDir,
  rootKeysDir,
  trustedKeysDir,
} from '@rkt/pod-layout/trusted-keys';
import { parseAcIdentifier } from '@rkt/spec/ac-identifier';

import { TrustError } from './errors.ts';
import { checkedPath, type Keystore, safeComponents } from './keystore.ts';

/**
 * Trusts the key with this fingerprint for all images below `prefix`, or for all images without one. Returns the file.
 * @throws SpecError or TrustError `bad-prefix` when `prefix` cannot begin an image name, KernelError
 */
export function addKey(
  { localConfig }: Keystore,
  prefix: string | undefined,
  fingerprint: string,
  content: Uint8Array,
): string {
  const directory =
    prefix === undefined
      ? rootKeysDir(localConfig)
      : path.join(prefixKeysDir(localConfig), ...prefixComponents(prefix));
  makeDirectories(directory);
  checkedPath(localConfig, directory);
  const file = path.join(directory, fingerprint);
  // Not in the directory itself, where every file is a key.
  const name = `.${fingerprint}-${randomBytes(6).toString('hex')}`;
  writeKey(path.join(trustedKeysDir(localConfig), name), file, content);
  return file;
}

function prefixComponents(prefix: string): string[] {
  const components = safeComponents(parseAcIdentifier(prefix));
  if (components.length === prefix.split('/').length) return components;
  throw new TrustError('bad-prefix', `${quote(prefix)} cannot be the beginning of an image name`);
}

function makeDirectories(directory: string): void {
  withKernelErrors(directory, () => {
    try {
      mkdirSync(directory, { mode: KEYSTORE_DIR_MODE });
    } catch (error) {
      if (hasCode(error, 'EEXIST')) return;
      if (!hasCode(error, 'ENOENT')) throw error;
      makeDirectories(path.dirname(directory));
      makeDirectories(directory);
      return;
    }
    // Whatever the umask.
    chmodSync(directory, KEYSTORE_DIR_MODE);
  });
}

function writeKey(temporary: string, file: string, content: Uint8Array): void {
  withKernelErrors(file, () => {
    const fd = openSync(temporary, 'wx', KEYSTORE_FILE_MODE);
    try {
      writeFileSync(fd, content);
      fchmodSync(fd, KEYSTORE_FILE_MODE);
      fsyncSync(fd);
      renameSync(temporary, file);
    } catch (error) {
      rmSync(temporary, { force: true });
      throw error;
    } finally {
      closeSync(fd);
    }
  });
}
