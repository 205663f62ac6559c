// The headers that log in to a server, from configuration of kind `auth` (contract stage0 2.2, 2.4).
// Pure but for the clock; loaded by what downloads.

import { createHash, createHmac } from 'node:crypto';

import type { AuthCredentials, Config } from './config.ts';

/** Header names in the letter case they are sent in. */
export type Headers = Readonly<Record<string, string>>;

type AwsCredentials = Extract<AuthCredentials, { type: 'aws' }>;

/** The request that logs in. */
export interface SignedRequest {
  readonly method?: 'GET' | 'HEAD';
  readonly now?: Date;
}

/**
 * Headers for the request of an image or signature at `url`; for https only, and for the first request only: a redirect
 * to another host must not see them.
 */
export function downloadHeaders(auth: Config['auth'], url: string, request: SignedRequest = {}): Headers {
  const credentials = auth.get(authorityOf(url));
  if (credentials === undefined || !/^https:/i.test(url)) return {};
  return credentials.type === 'aws' ? signAws(credentials, url, request) : simpleHeaders(credentials);
}

/** Headers for a discovery request, whatever its scheme; aws signs downloads only. */
export function discoveryHeaders(auth: Config['auth'], url: string): Headers {
  const credentials = auth.get(authorityOf(url));
  return credentials === undefined || credentials.type === 'aws' ? {} : simpleHeaders(credentials);
}

// As typed: `example.com:443` and `example.com` are configured apart.
function authorityOf(url: string): string {
  return /^[a-z][a-z0-9+.-]*:\/\/(?:[^/?#]*@)?([^/?#]*)/i.exec(url)?.[1] ?? '';
}

function simpleHeaders(credentials: Exclude<AuthCredentials, AwsCredentials>): Headers {
  if (credentials.type === 'oauth') return { Authorization: `Bearer ${credentials.token}` };
  const pair = Buffer.from(`${credentials.user}:${credentials.password}`).toString('base64');
  return { Authorization: `Basic ${pair}` };
}

const DEFAULT_REGION = 'us-east-1';

/** Region of an S3 host, e.g. `foo.s3-us-west-1.amazonaws.com:443`. */
export function guessAwsRegion(authority: string): string {
  const host = authority.toLowerCase().replace(/:\d*$/, '');
  const labels = host.split('.');
  if (labels.length < 3 || labels.at(-2) !== 'amazonaws') return DEFAULT_REGION;
  if (host.endsWith('s3.amazonaws.com') || host.endsWith('s3-external-1.amazonaws.com'))
    return DEFAULT_REGION;
  const third = labels.at(-3) ?? '';
  if (labels.length > 3 && third.startsWith('s3-')) return third.slice('s3-'.length);
  return labels.length > 4 && labels.at(-4) === 's3' ? third : DEFAULT_REGION;
}

const ALGORITHM = 'AWS4-HMAC-SHA256';
const SERVICE = 's3';

// AWS Signature Version 4 of a request without a body, with S3's rule that the path is encoded once.
function signAws(
  credentials: AwsCredentials,
  url: string,
  { method = 'GET', now = new Date() }: SignedRequest,
): Headers {
  // The host as the request will name it: without a default port.
  const { host, pathname, searchParams } = new URL(url);
  const timestamp = now.toISOString().replace(/[-:]|\.\d{3}/g, '');
  const day = timestamp.slice(0, 8);
  const region = credentials.region || guessAwsRegion(host);
  const scope = `${day}/${region}/${SERVICE}/aws4_request`;
  const bodyHash = sha256('');
  const signed = 'host;x-amz-content-sha256;x-amz-date';
  const canonical = [
    method,
    pathname.split('/').map(encodeOnce).join('/'),
    canonicalQuery(searchParams),
    `host:${host}`,
    `x-amz-content-sha256:${bodyHash}`,
    `x-amz-date:${timestamp}`,
    '',
    signed,
    bodyHash,
  ].join('\n');
  const text = [ALGORITHM, timestamp, scope, sha256(canonical)].join('\n');
  const key = [day, region, SERVICE, 'aws4_request'].reduce<string | Buffer>(
    hmac,
    `AWS4${credentials.secretAccessKey}`,
  );
  const signature = hmac(key, text).toString('hex');
  return {
    'X-Amz-Content-Sha256': bodyHash,
    'X-Amz-Date': timestamp,
    Authorization: `${ALGORITHM} Credential=${credentials.accessKeyId}/${scope}, SignedHeaders=${signed}, Signature=${signature}`,
  };
}

function encodeOnce(segment: string): string {
  let plain = segment;
  try {
    plain = decodeURIComponent(segment);
  } catch {
    // Not percent-encoded at all: the text itself.
  }
  return encode(plain);
}

// RFC 3986: everything but the unreserved characters.
function encode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function canonicalQuery(parameters: URLSearchParams): string {
  return [...parameters]
    .map(([key, value]) => `${encode(key)}=${encode(value)}`)
    .sort()
    .join('&');
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
