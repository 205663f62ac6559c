// The certification authorities the host trusts, found where Go's programs look for them: SSL_CERT_FILE and
// SSL_CERT_DIR, else the places of the distributions. The list built into node is not used: who takes an authority
// away on a machine means it. Runs in stage0.

import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { createSecureContext, type SecureContext } from 'node:tls';
import { X509Certificate } from 'node:crypto';

import type { TlsFiles } from './http.ts';

type Environment = Readonly<Record<string, string>>;

const BUNDLES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/pki/tls/cacert.pem',
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  '/etc/ssl/cert.pem',
];
const DIRECTORIES = ['/etc/ssl/certs', '/etc/pki/tls/certs'];

const MIN_TLS_VERSION = 'TLSv1.2';

let loaded: { readonly source: string; readonly context: SecureContext } | undefined;
const withFiles = new WeakMap<TlsFiles, SecureContext>();

/**
 * What servers are verified against: the system's authorities, and those of `files` besides. Read once for each setting
 * of the variables, and for each `files`.
 */
export function systemTrust(env: Environment, files?: TlsFiles): SecureContext {
  if (files !== undefined) {
    const known = withFiles.get(files) ?? makeContext([...systemCertificates(env), ...files.ca], files);
    withFiles.set(files, known);
    return known;
  }
  const source = `${env['SSL_CERT_FILE'] ?? ''}\n${env['SSL_CERT_DIR'] ?? ''}`;
  if (loaded?.source !== source) loaded = { source, context: makeContext(systemCertificates(env)) };
  return loaded.context;
}

/** The certificates in PEM form, each once: those of the first bundle there is, and of all directories. */
export function systemCertificates(env: Environment): string[] {
  const bundles = env['SSL_CERT_FILE'] ? [env['SSL_CERT_FILE']] : BUNDLES;
  const directories = env['SSL_CERT_DIR'] ? env['SSL_CERT_DIR'].split(':') : DIRECTORIES;
  const bundle = firstReadable(bundles);
  const files = directories.flatMap(filesIn).filter((file) => file !== bundle?.file);
  const texts = [bundle?.text ?? '', ...files.map((file) => readText(file) ?? '')];
  return [...new Set(texts.flatMap(certificatesIn))];
}

function firstReadable(
  files: readonly string[],
): { readonly file: string; readonly text: string } | undefined {
  for (const file of files) {
    const text = readText(file);
    if (text !== undefined) return { file, text };
  }
  return undefined;
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return undefined;
  }
}

function filesIn(directory: string): string[] {
  try {
    return readdirSync(directory)
      .sort()
      .map((name) => path.join(directory, name));
  } catch {
    return [];
  }
}

function certificatesIn(text: string): string[] {
  return text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
}

function makeContext(certificates: readonly string[], files?: TlsFiles): SecureContext {
  const make = (ca: readonly string[]): SecureContext =>
    createSecureContext({ ca: [...ca], minVersion: MIN_TLS_VERSION, ...files?.client });
  try {
    return make(certificates);
  } catch {
    // One file that is no certificate must not take all others away.
    return make(certificates.filter(isCertificate));
  }
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).subject !== undefined;
  } catch {
    return false;
  }
}
