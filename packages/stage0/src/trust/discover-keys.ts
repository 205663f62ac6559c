// Finds the public keys a publisher offers for an image name, by meta discovery (contract stage0 4.7, 6.4).
// Runs in stage0.

import { createLogger } from '@rkt/diagnostics/logger';
import { quote } from '@rkt/diagnostics/quote';
import { discoveryPrefixes, discoveryUrl, findPublicKeys } from '@rkt/spec/discovery';

import { discoveryHeaders } from '../config/authorization.ts';
import type { Config } from '../config/config.ts';
import type { FetchContext } from '../fetch/context.ts';
import { FetchError } from '../fetch/errors.ts';
import { httpRequest, readBody } from '../fetch/http.ts';
import { TrustError } from './errors.ts';

/** On whose terms pages are read. */
export interface KeyDiscovery {
  readonly insecureTls: boolean;
  /** Ask over plain http where https fails. */
  readonly allowHttp: boolean;
  /** How to log in to the servers of pages. */
  readonly auth: Config['auth'];
  readonly env: Readonly<Record<string, string>>;
  /** What each page without keys is told to. */
  readonly tried: (prefix: string, reason: unknown) => void;
}

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
  const { keystore, insecure, logger, config, env, debug } = context;
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
      tried: (prefix, reason) => {
        if (debug) logger.error(`meta tag 'ac-discovery-pubkeys' not found on ${prefix}`, reason);
      },
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
 * @throws TrustError `key-discovery` when none does
 */
export async function discoverKeys(name: string, discovery: KeyDiscovery): Promise<string[]> {
  if (name === '') throw new TrustError('key-discovery', 'empty prefix');
  for (const prefix of discoveryPrefixes(name)) {
    try {
      const keys = findPublicKeys(await discoveryPage(prefix, discovery), name);
      if (keys.length > 0) return keys;
      discovery.tried(prefix, new TrustError('key-discovery', 'the page has no such tag'));
    } catch (error) {
      discovery.tried(prefix, error);
    }
  }
  throw new TrustError('key-discovery', `meta discovery on ${name} resulted in no keys`);
}

async function discoveryPage(prefix: string, discovery: KeyDiscovery): Promise<string> {
  try {
    return await getPage(new URL(discoveryUrl(prefix, 'https')), discovery);
  } catch (error) {
    if (!discovery.allowHttp) throw error;
    return await getPage(new URL(discoveryUrl(prefix, 'http')), discovery);
  }
}

const MAX_PAGE_BYTES = 4 * 1024 * 1024;
const DISCOVERY_MS = 20_000;

async function getPage(url: URL, { insecureTls, auth, env }: KeyDiscovery): Promise<string> {
  const response = await httpRequest(url, {
    insecureTls,
    login: discoveryHeaders(auth, url.href),
    env,
    signal: AbortSignal.timeout(DISCOVERY_MS),
  });
  if (response.status === 200) return (await readBody(response, url, MAX_PAGE_BYTES)).toString('utf8');
  response.body.destroy();
  throw new FetchError('http-status', `expected a 200 OK got ${response.status}`);
}
