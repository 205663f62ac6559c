// Finds images in the store by ID or by name (contract stage0 7.2, 7.3, 11.2, 11.3). Runs in stage0.
//
// IDs are found by the names of manifest files: the database is not opened for them.

import { readdirSync } from 'node:fs';

import { quote } from '@rkt/diagnostics/quote';
import { hasCode } from '@rkt/diagnostics/rkt-error';
import { withKernelErrors } from '@rkt/linux/errno';
import { type DataDir, imageManifestFile } from '@rkt/pod-layout/data-dir';
import type { ImageKey } from '@rkt/spec/image-id';
import type { ImageManifest } from '@rkt/spec/image-manifest';
import { type Label, labelValue } from '@rkt/spec/labels';
import path from 'node:path';

import { StoreError } from './errors.ts';
import type { AciInfoRow } from './rows.ts';

const PREFIX = 'sha512-';
const KEY_LENGTH = PREFIX.length + 64;
const MIN_DIGITS = 2;

/** The key of the one image whose ID starts like `hash`. @throws StoreError */
export function resolveId(data: DataDir, hash: string): ImageKey {
  if (!hash.startsWith(PREFIX)) throw new StoreError('bad-id', 'wrong key prefix');
  const prefix = hash.slice(0, KEY_LENGTH);
  if (prefix.length < PREFIX.length + MIN_DIGITS) throw new StoreError('bad-id', 'image ID too short');
  // Anything but hex digits is in no key, and must not become part of a path.
  const found = /^sha512-[0-9a-f]+$/.test(prefix)
    ? keysBeside(data, prefix).filter((key) => key.startsWith(prefix))
    : [];
  const [key, another] = found;
  if (key === undefined) throw new StoreError('not-found', 'no image IDs found');
  if (another !== undefined) throw new StoreError('ambiguous', `ambiguous image ID: ${quote(prefix)}`);
  return key;
}

// Keys that share the first two digits share a directory.
function keysBeside(data: DataDir, prefix: string): string[] {
  const directory = path.dirname(imageManifestFile(data, prefix));
  try {
    return withKernelErrors(directory, () => readdirSync(directory)).filter(isKey);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  }
}

/** Whether `name` is a whole key. */
export function isKey(name: string): boolean {
  return /^sha512-[0-9a-f]{64}$/.test(name);
}

/**
 * The first of `rows` (in order of preference) whose manifest has all of `labels`. Without a version label among them,
 * rows marked latest are preferred; the order of `rows` already says so.
 * @throws StoreError `not-found`
 */
export function resolveName(
  name: string,
  labels: readonly Label[],
  rows: readonly AciInfoRow[],
  manifestOf: (key: ImageKey) => ImageManifest | undefined,
): ImageKey {
  const versioned = labels.some((label) => label.name === 'version');
  const ordered = versioned ? rows.toSorted((a, b) => b.importTime - a.importTime) : rows;
  for (const { key } of ordered) {
    const manifest = manifestOf(key);
    if (manifest !== undefined && hasLabels(manifest, labels)) return key;
  }
  const wanted = labels.map((label) => `{${quote(label.name)} ${quote(label.value)}}`).join(' ');
  throw new StoreError(
    'not-found',
    `cannot find aci satisfying name: ${quote(name)} and labels: [${wanted}] in the local store`,
  );
}

function hasLabels(manifest: ImageManifest, labels: readonly Label[]): boolean {
  return labels.every(({ name, value }) => labelValue(manifest.labels, name) === value);
}
