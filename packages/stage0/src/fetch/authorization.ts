// Credentials for a download (contract stage0 2.2, 2.4). Pure; runs in stage0.

import type { AuthCredentials } from '../config/config.ts';
import { FetchError } from './errors.ts';

/**
 * The Authorization header for `url`: only over https, and only for an authority (host, or host and port as typed) that
 * credentials were configured for.
 * @throws FetchError `not-supported`
 */
export function authorizationFor(
  text: string,
  url: URL,
  auth: ReadonlyMap<string, AuthCredentials>,
): string | undefined {
  if (url.protocol !== 'https:') return undefined;
  const typed = /^[a-z]+:\/\/(?:[^/?#]*@)?([^/?#]*)/i.exec(text)?.[1] ?? '';
  const credentials = auth.get(typed) ?? auth.get(url.host);
  switch (credentials?.type) {
    case undefined:
      return undefined;
    case 'basic':
      return `Basic ${Buffer.from(`${credentials.user}:${credentials.password}`).toString('base64')}`;
    case 'oauth':
      return `Bearer ${credentials.token}`;
    case 'aws':
      throw new FetchError(
        'not-supported',
        `aws credentials for ${url.host} are not supported by this version`,
      );
  }
}
