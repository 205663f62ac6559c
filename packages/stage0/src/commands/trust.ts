// `rkt trust` (contract stage0 6.5). Runs in stage0.

import { createLogger } from '@rkt/diagnostics/logger';

import { CommandError } from '../cli/errors.ts';
import type { GlobalFlags, Invocation, TrustFlags } from '../cli/requests.ts';
import { loadConfig } from '../config/load.ts';
import { discoverKeys } from '../trust/discover-keys.ts';
import { TrustError } from '../trust/errors.ts';
import { type Keystore, openKeystore } from '../trust/keystore.ts';
import { addKeys } from '../trust/pubkey.ts';

export async function run({ global, flags, args, env }: Invocation<TrustFlags>): Promise<number> {
  const prefix = checkedPrefix(flags);
  // A broken configuration is told here as it is everywhere.
  loadConfig(global);
  const keystore = requireKeystore(global);
  const locations = args.length > 0 ? args : await discover(prefix ?? '', global, flags, env);
  try {
    await addKeys(locations, {
      keystore,
      prefix,
      allowHttp: flags.insecureAllowHttp,
      insecureTls: global.insecure.tls && global.insecure.pubkey,
      trustFromHttps: global.trustKeysFromHttps,
      skipReview: flags.skipFingerprintReview,
      logger: createLogger({ prefix: 'pubkey', debug: global.debug }),
      cwd: process.cwd(),
      env,
    });
  } catch (error) {
    throw new CommandError('error adding keys', error);
  }
  return 0;
}

const UNBOUNDED = [
  'these keys would be trusted to sign any image: implicit unbounded trust is refused',
  'to trust them for the images below one name, use --prefix=PREFIX',
  'to trust them for all images, use --root',
].join('\n');

// Undefined: all images.
function checkedPrefix({ prefix, root }: TrustFlags): string | undefined {
  if (root && prefix !== undefined) {
    throw new TrustError('bad-prefix', '--root and --prefix usage mutually exclusive');
  }
  if (!root && prefix === undefined) throw new TrustError('bad-prefix', UNBOUNDED);
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(prefix ?? '')?.[1];
  if (scheme !== undefined) {
    throw new TrustError('bad-prefix', `--prefix must not contain a URL scheme, omit ${scheme}://`);
  }
  return prefix;
}

function requireKeystore(global: GlobalFlags): Keystore {
  if (!global.insecure.image) return openKeystore(global);
  throw new TrustError('no-keystore', 'could not get the keystore', {
    hint: 'leave out --insecure-options=image',
  });
}

async function discover(
  prefix: string,
  { insecure, debug }: GlobalFlags,
  { insecureAllowHttp }: TrustFlags,
  env: Readonly<Record<string, string>>,
): Promise<readonly string[]> {
  const logger = createLogger({ prefix: 'pubkey', debug });
  try {
    return await discoverKeys(prefix, {
      insecureTls: insecure.tls && insecure.pubkey,
      allowHttp: insecureAllowHttp,
      // A key is public (contract stage0 2.4).
      auth: new Map(),
      env,
      ...(debug && { debug: logger }),
    });
  } catch (error) {
    throw new CommandError('error determining key location', error);
  }
}
