// The certificates of registries, where docker and its relatives keep them (dockerd(8), containers-certs.d(5)). Runs in
// stage0.

import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { withKernelErrors } from '@rkt/linux/errno';

import type { TlsFiles } from '../../fetch/http.ts';
import { DockerError } from '../errors.ts';

export const CERTIFICATE_DIRECTORIES: readonly string[] = ['/etc/docker/certs.d', '/etc/containers/certs.d'];

/**
 * What the directory `HOST[:PORT]` has: `*.crt` are authorities, `X.cert` with `X.key` identify us. The first directory
 * that is there counts.
 * @throws DockerError `credentials` for half a pair, KernelError for what cannot be read
 */
export function readTlsFiles(
  host: string,
  directories: readonly string[] = CERTIFICATE_DIRECTORIES,
): TlsFiles | undefined {
  for (const directory of directories.map((parent) => path.join(parent, host))) {
    const names = namesIn(directory);
    if (names !== undefined) return readDirectory(directory, names);
  }
  return undefined;
}

function namesIn(directory: string): string[] | undefined {
  try {
    return readdirSync(directory).sort();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'EACCES') return undefined;
    throw error;
  }
}

function readDirectory(directory: string, names: readonly string[]): TlsFiles {
  const read = (name: string): string => {
    const file = path.join(directory, name);
    return withKernelErrors(file, () => readFileSync(file, 'utf8'));
  };
  const ca = names.filter((name) => name.endsWith('.crt')).map(read);
  const cert = names.find((name) => name.endsWith('.cert'));
  if (cert === undefined) return { ca };
  const key = `${cert.slice(0, -'.cert'.length)}.key`;
  if (!names.includes(key)) {
    throw new DockerError(
      'credentials',
      `missing key ${key} for client certificate ${path.join(directory, cert)}`,
    );
  }
  return { ca, client: { cert: read(cert), key: read(key) } };
}
