// A certificate authority of a test and the certificates it signs, made by openssl(1). Runs in the test process.

import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';

import type { TempDir } from '../tmp.ts';

/** PEM texts. */
export interface TlsIdentity {
  /** The authority that signed it. */
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  /** Files of the same, below the directory it was made in. */
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
}

/** What is wrong with a certificate. */
export interface TlsFaults {
  /** Not for 127.0.0.1 and localhost but for this name. */
  readonly host?: string;
  readonly expired?: boolean;
}

/** A server certificate for 127.0.0.1 and localhost, signed by an authority made for it. */
export function tlsIdentity(tmp: TempDir, { host, expired = false }: TlsFaults = {}): TlsIdentity {
  const [caFile, caKey] = [tmp.join('ca.crt'), tmp.join('ca.key')];
  const [certFile, keyFile, request] = [
    tmp.join('server.crt'),
    tmp.join('server.key'),
    tmp.join('server.csr'),
  ];
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl([
    'req',
    '-x509',
    ...newKey,
    '-days',
    '2',
    '-subj',
    '/CN=rkt test authority',
    '-keyout',
    caKey,
    '-out',
    caFile,
  ]);
  openssl(['req', ...newKey, '-subj', `/CN=${host ?? 'localhost'}`, '-keyout', keyFile, '-out', request]);
  const names = host === undefined ? 'DNS:localhost,IP:127.0.0.1' : `DNS:${host}`;
  writeFileSync(tmp.join('extensions'), `subjectAltName=${names}\n`);
  const [authority, extensions] = [
    ['-CA', caFile, '-CAkey', caKey, '-CAcreateserial'],
    tmp.join('extensions'),
  ];
  // Days of the past: not valid any more.
  const days = expired ? '-1' : '2';
  const wanted = ['-in', request, '-out', certFile, '-days', days, '-extfile', extensions];
  openssl(['x509', '-req', ...wanted, ...authority]);
  const read = (file: string): string => readFileSync(file, 'utf8');
  return { ca: read(caFile), cert: read(certFile), key: read(keyFile), caFile, certFile, keyFile };
}

function openssl(args: readonly string[]): void {
  const { status, stderr, error } = spawnSync('openssl', args);
  if (status !== 0) throw new Error(`openssl failed: ${error?.message ?? stderr.toString()}`);
}
