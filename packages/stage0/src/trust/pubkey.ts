// Adds public keys to the keystore: gets them, shows them, asks whether they are to be trusted (contract stage0 6.5,
// 6.6). Runs in stage0.

import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { type Logger, writeStdout } from '@rkt/diagnostics/logger';
import { quote } from '@rkt/diagnostics/quote';
import { wrap } from '@rkt/diagnostics/rkt-error';
import { withKernelErrors } from '@rkt/linux/errno';
import type { Key } from 'openpgp';

import { FetchError } from '../fetch/errors.ts';
import { httpRequest, readBody } from '../fetch/http.ts';
import { addKey } from './add-key.ts';
import { TrustError } from './errors.ts';
import { showKey } from './key-display.ts';
import { type Keystore, MAX_KEY_BYTES } from './keystore.ts';
import { isArmored, readPublicKeys } from './public-key.ts';
import { askToTrust } from './question.ts';

/** What keys are added for, and on whose word. */
export interface KeyAddition {
  readonly keystore: Keystore;
  /** Images the keys are trusted for; undefined: all. */
  readonly prefix: string | undefined;
  /** Take keys from plain http. */
  readonly allowHttp: boolean;
  readonly insecureTls: boolean;
  /** Take keys from https without asking. */
  readonly trustFromHttps: boolean;
  /** Take all keys without asking. */
  readonly skipReview: boolean;
  /** Speaks as `pubkey`. */
  readonly logger: Logger;
  readonly cwd: string;
  /** For the proxy variables. */
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Adds the keys at `locations`, paths or URLs, one after the other.
 * @throws TrustError, FetchError, KernelError at the first that cannot be added; a key that the user refuses is none.
 */
export async function addKeys(locations: readonly string[], addition: KeyAddition): Promise<void> {
  for (const location of locations) {
    const content = await getKey(location, addition);
    addition.logger.info(`prefix: ${quote(addition.prefix ?? '')}\nkey: ${quote(location)}`);
    const keys = await readPublicKeys(content, location);
    for (const key of keys) {
      await showKey(key);
      if (await reviewKey(location, addition))
        storeKey(key, keys.length === 1 ? content : undefined, addition);
    }
  }
}

async function reviewKey(location: string, addition: KeyAddition): Promise<boolean> {
  const { prefix, skipReview, trustFromHttps, logger } = addition;
  const asks = !skipReview && !(trustFromHttps && /^https:/i.test(location));
  if (asks) {
    let trusted: boolean;
    try {
      trusted = askToTrust(prefix, logger);
    } catch (error) {
      throw wrap('error reviewing key', error);
    }
    if (!trusted) {
      logger.info(`not trusting ${quote(location)}`);
      return false;
    }
  }
  const how = asks ? 'after' : 'without';
  writeStdout(`Trusting ${quote(location)} for prefix ${quote(prefix ?? '')} ${how} fingerprint review.\n`);
  return true;
}

// As it was received, if the file is armored and holds nothing else.
function storeKey(key: Key, received: Buffer | undefined, { keystore, prefix }: KeyAddition): void {
  const content = received !== undefined && isArmored(received) ? received : Buffer.from(key.armor());
  const file = addKey(keystore, prefix, key.getFingerprint(), content);
  const what = prefix === undefined ? 'root key' : `key for prefix ${quote(prefix)}`;
  writeStdout(`Added ${what} at ${quote(file)}\n`);
}

const SCHEME = /^([a-z][a-z0-9+.-]*):/i;

async function getKey(location: string, { allowHttp, insecureTls, cwd, env }: KeyAddition): Promise<Buffer> {
  const scheme = SCHEME.exec(location)?.[1]?.toLowerCase();
  if (scheme === undefined) return readKeyFile(path.resolve(cwd, location));
  if (scheme !== 'http' && scheme !== 'https') {
    throw new TrustError('bad-key', 'only local files and http or https URLs supported');
  }
  if (scheme === 'http' && !allowHttp) {
    throw new TrustError('bad-key', '--insecure-allow-http required for http URLs');
  }
  if (!URL.canParse(location)) throw new TrustError('bad-key', `${quote(location)} is not a URL`);
  return downloadKey(new URL(location), insecureTls, env);
}

// O_NONBLOCK: a fifo must not hang us.
function readKeyFile(file: string): Buffer {
  const fd = withKernelErrors(file, () => openSync(file, constants.O_RDONLY | constants.O_NONBLOCK));
  try {
    const status = fstatSync(fd);
    if (!status.isFile()) throw new TrustError('bad-key', `${quote(file)} is not a regular file`);
    if (status.size > MAX_KEY_BYTES) {
      throw new TrustError('bad-key', `${quote(file)} is larger than ${MAX_KEY_BYTES} bytes`);
    }
    return withKernelErrors(file, () => readFileSync(fd));
  } finally {
    closeSync(fd);
  }
}

const DOWNLOAD_MS = 2 * 60_000;

// Without credentials: a key is public (contract stage0 2.4).
async function downloadKey(
  url: URL,
  insecureTls: boolean,
  env: Readonly<Record<string, string>>,
): Promise<Buffer> {
  const response = await httpRequest(url, {
    insecureTls,
    login: {},
    env,
    signal: AbortSignal.timeout(DOWNLOAD_MS),
  });
  if (response.status === 200) return await readBody(response, url, MAX_KEY_BYTES);
  response.body.destroy();
  throw new FetchError('http-status', `bad HTTP status code: ${response.status}`);
}
