// Finds the public keys a publisher offers for an image name, by meta discovery (contract stage0 4.7, 6.4).
// Runs in stage0.

import { createLogger } from '@rkt/diagnostics/logger';
import { quote } from '@rkt/diagnostics/quote';
import { hasCode } from '@rkt/diagnostics/rkt-error';
import { findPublicKeys } from '@rkt/spec/discovery';

import type { FetchContext } from '../fetch/context.ts';
import { type PageTerms, searchPages } from '../fetch/discover.ts';
import { TrustError } from './errors.ts';

// Two images at a time must not show their keys between each other's questions, nor ask twice for the same key.
let turn: Promise<void> = Promise.resolve();

/**
 * Trusts the keys that the owner of `imageName` offers, as the user decides. Nothing happens when there is a key for
 * the name already, or when no signatures are verified. What goes wrong is logged: a root key may still fit.
 */
export async function ensureKeys(context: FetchContext, imageName: string): Promise<void> {
  turn = turn.then(() => ensureKeysNow(context, imageName));
  return turn;
}

async function ensureKeysNow(context: FetchContext, imageName: string): Promise<void> {
  const { keystore, insecure, logger, config, env, debug, signal } = context;
  if (keystore === undefined) return;
  try {
    if (keystore.hasPrefixKeys(imageName)) {
      logger.info(`keys already exist for prefix ${quote(imageName)}, not fetching again`);
      return;
    }
    // Who cannot be told apart from somebody else offers no keys.
    if (insecure.tls && !insecure.pubkey) return;
    const allowHttp = insecure.pubkey && insecure.http;
    if (allowHttp) logger.info('signing keys may be downloaded from an insecure connection');
    const locations = await discoverKeys(imageName, {
      insecureTls: insecure.tls,
      allowHttp,
      auth: config.auth,
      env,
      ...(signal !== undefined && { signal }),
      ...(debug && { debug: logger }),
    });
    const { addKeys } = await import('./pubkey.ts');
    await addKeys(locations, {
      keystore,
      prefix: imageName,
      allowHttp: insecure.pubkey,
      insecureTls: insecure.tls,
      trustFromHttps: context.trustKeysFromHttps,
      skipReview: false,
      logger: createLogger({ prefix: 'pubkey', debug }),
      cwd: context.cwd,
      env,
    });
  } catch (error) {
    logger.error(`no signing keys fetched for ${quote(imageName)}`, error);
  }
}

/**
 * The URLs of the keys for `name`, from the page of the longest prefix that offers any.
 * @throws TrustError `key-discovery` when none does, FetchError `cancelled`
 */
export async function discoverKeys(name: string, terms: PageTerms): Promise<readonly string[]> {
  if (name === '') throw new TrustError('key-discovery', 'empty prefix');
  const find = (html: string): readonly string[] => findPublicKeys(html, name);
  try {
    return await searchPages(name, { tag: 'ac-discovery-pubkeys', find }, terms);
  } catch (error) {
    // Why which page has none is for --debug.
    if (!hasCode(error, 'discovery')) throw error;
    throw new TrustError('key-discovery', `meta discovery on ${name} resulted in no keys`);
  }
}
