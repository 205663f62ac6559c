// The trusted keys: files below the system and the local configuration directory (contract stage0 6.1, 6.2). Which key
// files count for an image is decided here; what is in them is public-key.ts's. Loaded by everything that may fetch, so
// it loads little. Runs in stage0.

import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readSync,
  type Stats,
  statSync,
} from 'node:fs';
import path from 'node:path';

import { quote } from '@rkt/diagnostics/quote';
import { hasCode } from '@rkt/diagnostics/rkt-error';
import { withKernelErrors } from '@rkt/linux/errno';
import { FINGERPRINT_PATTERN, prefixKeysDir, rootKeysDir } from '@rkt/pod-layout/trusted-keys';

import { TrustError } from './errors.ts';

/** The configuration directories that hold keys. */
export interface KeystoreDirectories {
  readonly systemConfig: string;
  readonly localConfig: string;
}

/** One key file. */
export interface KeyFile {
  readonly path: string;
  /** Its name: the fingerprint its key must have. */
  readonly fingerprint: string;
  readonly content: Buffer;
}

/** Bytes of a key with very many signatures of others. */
export const MAX_KEY_BYTES: number = 4 * 1024 * 1024;

/** The keystore of these directories; nothing is read before it is asked. */
export function openKeystore({ systemConfig, localConfig }: KeystoreDirectories): Keystore {
  return new Keystore(systemConfig, localConfig);
}

/** See {@link openKeystore}. */
export class Keystore {
  readonly #system: string;
  /** Where new keys go. */
  readonly localConfig: string;

  constructor(system: string, local: string) {
    this.#system = system;
    this.localConfig = local;
  }

  /**
   * The key files that count for the image `name`: root keys and those of the name and of the names above it, without
   * the masked ones; a later file of the same name replaces an earlier one.
   * @throws TrustError `unsafe-key-file`, KernelError
   */
  keyFilesFor(name: string): KeyFile[] {
    const files = new Map<string, KeyFile>();
    const directories = [
      ...rootDirectory(this.#system),
      ...rootDirectory(this.localConfig),
      ...prefixDirectories(this.#system, name),
      ...prefixDirectories(this.localConfig, name),
    ];
    for (const file of directories.flatMap(readKeyFiles)) {
      // An empty file masks the key it is named after.
      if (file.content.length === 0) files.delete(file.fingerprint);
      else files.set(file.fingerprint, file);
    }
    return [...files.values()];
  }

  /** Whether there is any key for the prefix `name` or one above it; root keys and masks do not count. */
  hasPrefixKeys(name: string): boolean {
    return [this.#system, this.localConfig]
      .flatMap((config) => prefixDirectories(config, name))
      .flatMap(readKeyFiles)
      .some(({ content }) => content.length > 0);
  }
}

function rootDirectory(config: string): string[] {
  const root = rootKeysDir(config);
  return checkedPath(config, root).filter((directory) => directory === root);
}

// From the first component down: keys of example.com count for example.com/web, but not for example.community.
function prefixDirectories(config: string, name: string): string[] {
  const root = prefixKeysDir(config);
  return checkedPath(config, path.join(root, ...safeComponents(name))).filter((directory) =>
    directory.startsWith(`${root}/`),
  );
}

/** The components of an image name, up to one that means something else to the kernel: nothing is trusted below it. */
export function safeComponents(name: string): string[] {
  const components = name.split('/');
  const end = components.findIndex((component) => ['', '.', '..'].includes(component));
  return end === -1 ? components : components.slice(0, end);
}

/**
 * The directories from `config` down to `target`, as far as they exist. All of them must be what they seem: whoever
 * can put a file into one can sign images.
 * @throws TrustError `unsafe-key-file`
 */
export function checkedPath(config: string, target: string): string[] {
  const found: string[] = [];
  for (const directory of pathDown(config, target)) {
    // Where configuration is may be a link.
    const status = directory === config ? statusOf(directory, statSync) : statusOf(directory, lstatSync);
    // A key is no prefix, whatever an image is called.
    if (status === undefined || status.isFile()) break;
    if (!status.isDirectory()) unsafe(directory, 'is not a directory');
    refuseWritable(directory, status);
    found.push(directory);
  }
  return found;
}

function pathDown(from: string, to: string): string[] {
  return from === to ? [from] : [...pathDown(from, path.dirname(to)), to];
}

function statusOf(
  file: string,
  stat: (file: string, options: { throwIfNoEntry: false }) => Stats | undefined,
): Stats | undefined {
  return withKernelErrors(file, () => stat(file, { throwIfNoEntry: false }));
}

function readKeyFiles(directory: string): KeyFile[] {
  return withKernelErrors(directory, () => readdirSync(directory, { withFileTypes: true }))
    .filter((entry) => !entry.isDirectory())
    .map(({ name }) => name)
    .sort()
    .map((name) => readKeyFile(path.join(directory, name)));
}

function readKeyFile(file: string): KeyFile {
  const content = readSafely(file);
  const fingerprint = path.basename(file);
  if (content.length > 0 && !FINGERPRINT_PATTERN.test(fingerprint)) {
    unsafe(file, 'is not named after the fingerprint of a key');
  }
  return { path: file, fingerprint, content };
}

function readSafely(file: string): Buffer {
  const fd = openKeyFile(file);
  try {
    const status = fstatSync(fd);
    if (!status.isFile()) unsafe(file, 'is not a regular file');
    refuseWritable(file, status);
    if (status.size > MAX_KEY_BYTES) unsafe(file, `is larger than ${MAX_KEY_BYTES} bytes`);
    return withKernelErrors(file, () => readAll(fd, status.size));
  } finally {
    closeSync(fd);
  }
}

function openKeyFile(file: string): number {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  try {
    return withKernelErrors(file, () => openSync(file, flags));
  } catch (error) {
    if (hasCode(error, 'ELOOP')) unsafe(file, 'is a symbolic link');
    throw error;
  }
}

function readAll(fd: number, sizeBytes: number): Buffer {
  const content = Buffer.alloc(sizeBytes);
  let length = 0;
  for (let count = -1; count !== 0; length += count) {
    count = readSync(fd, content, length, sizeBytes - length, length);
  }
  return content.subarray(0, length);
}

const WORLD_WRITABLE = 0o002;

function refuseWritable(file: string, { mode }: Stats): void {
  if ((mode & WORLD_WRITABLE) !== 0) unsafe(file, 'can be written by everybody', `chmod o-w ${file}`);
}

function unsafe(file: string, problem: string, fix = 'remove it or put it right'): never {
  throw new TrustError('unsafe-key-file', `keystore: ${quote(file)} ${problem}`, { hint: fix });
}
