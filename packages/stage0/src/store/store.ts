// The image store: blobs and manifests as files, metadata in a database beside them (contract stage0 7.1-7.5).
// Runs in stage0.
//
// An image is there when its manifest file is. The blob is put before the manifest and removed after it, and rows of
// the database are written last and deleted first: a process may be killed anywhere in between.

import { existsSync, openSync, readFileSync, rmSync, statSync, utimesSync } from 'node:fs';
import path from 'node:path';

import type { Logger } from '@rkt/diagnostics/logger';
import { hasCode, wrap } from '@rkt/diagnostics/rkt-error';
import { withKernelErrors } from '@rkt/linux/errno';
import { type FileLock, lockDirectory, lockFile } from '@rkt/linux/file-lock';
import {
  blobFile,
  blobsDir,
  casDir,
  casTmpDir,
  type DataDir,
  dbDir,
  imageLockFile,
  imageLocksDir,
  imageManifestFile,
  layerFile,
  manifestsDir,
  STORE_FILE_MODE,
  TREE_DIR_MODE,
  treeLocksDir,
  treesDir,
} from '@rkt/pod-layout/data-dir';
import type { ImageKey } from '@rkt/spec/image-id';
import { type ImageManifest, parseImageManifest } from '@rkt/spec/image-manifest';
import { type Label, labelValue } from '@rkt/spec/labels';

import { Database } from './database.ts';
import { ensureDirectory, writeWhole } from './directories.ts';
import { StoreError } from './errors.ts';
import type { ArchiveSource, ImageSource, ImportedImage, ImportOptions } from './import.ts';
import { fileMark, manifestFields, recoverImages } from './recover.ts';
import { isKey, resolveId, resolveName } from './resolve.ts';
import {
  allImages,
  allReferences,
  deleteImage,
  deleteReference,
  type AciInfoRow,
  type FileIdentity,
  findFile,
  findImageRow,
  findMadeOf,
  findRemote,
  type ImageReference,
  imagesNamed,
  layersInUse,
  putFile,
  putImage,
  putLayers,
  putRemote,
  type RemoteRow,
  setTreeSize,
} from './rows.ts';

/** An image of the store. Times are milliseconds since 1970 with a fraction. */
export interface AciInfo extends AciInfoRow {
  readonly lastUsed: number;
}

/** Options of {@link openStore}. */
export interface StoreOptions {
  readonly logger: Logger;
  /** The clock, in milliseconds since 1970. */
  readonly now?: () => number;
}

/** Opens the store of a data directory, making what is missing. @throws KernelError */
export function openStore(data: DataDir, options: StoreOptions): ImageStore {
  return new ImageStore(data, lockCas(data), options);
}

function lockCas(data: DataDir): FileLock {
  try {
    return lockDirectory(casDir(data), { exclusive: false, wait: true });
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
  }
  // With the modes the group needs, whoever comes first.
  for (const directory of [blobsDir, manifestsDir, imageLocksDir, dbDir, casTmpDir])
    ensureDirectory(directory(data));
  for (const directory of [treesDir, treeLocksDir]) ensureDirectory(directory(data), TREE_DIR_MODE);
  return lockDirectory(casDir(data), { exclusive: false, wait: true });
}

/** Open until {@link close}. Finding an image by ID and reading its manifest touches nothing but its files. */
export class ImageStore implements Disposable {
  readonly data: DataDir;
  readonly logger: Logger;
  readonly #lock: FileLock;
  readonly #database: Database;
  readonly #now: () => number;
  readonly #manifests = new Map<ImageKey, { readonly text: string; readonly manifest: ImageManifest }>();

  constructor(data: DataDir, lock: FileLock, { logger, now = Date.now }: StoreOptions) {
    this.data = data;
    this.logger = logger;
    this.#lock = lock;
    this.#database = new Database(data, () => recoverImages(data, (key) => this.#manifestOrNothing(key)));
    this.#now = now;
  }

  /** The image whose ID starts like `hash`. @throws StoreError */
  resolveKey(hash: string): ImageKey {
    return isKey(hash) && this.hasKey(hash) ? hash : resolveId(this.data, hash);
  }

  /** The best image of that name with all of `labels`. @throws StoreError `not-found` */
  findByName(name: string, labels: readonly Label[]): ImageKey {
    const rows = this.#database.read((db) => imagesNamed(db, name), []);
    return resolveName(name, labels, rows, (key) => this.#manifestOrNothing(key));
  }

  /** Whether the image is in the store. */
  hasKey(key: ImageKey): boolean {
    return isKey(key) && existsSync(imageManifestFile(this.data, key));
  }

  /** @throws StoreError `not-found`, `damaged` */
  readManifest(key: ImageKey): ImageManifest {
    return this.#manifest(key).manifest;
  }

  /** The manifest's JSON, compact, as every consumer of the image gets it. @throws StoreError */
  readManifestText(key: ImageKey): string {
    return this.#manifest(key).text;
  }

  /** The uncompressed image. */
  blobPath(key: ImageKey): string {
    return blobFile(this.data, key);
  }

  /** The uncompressed image, open for reading; counts as a use. @throws StoreError `not-found` */
  openBlob(key: ImageKey): number {
    try {
      const fd = withKernelErrors(this.blobPath(key), () => openSync(this.blobPath(key), 'r'));
      this.touch(key);
      return fd;
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw error;
      throw new StoreError('not-found', `image ${key} is not in the store`, { cause: undefined });
    }
  }

  /** Reads an image file into the store; what is there already is replaced by the same. @throws StoreError, UnpackError */
  async importAci(source: ImageSource, options: ImportOptions = {}): Promise<ImageKey> {
    const { importImage } = await import('./import.ts');
    return this.#recorded(options, (recording) => importImage(this.data, source, recording));
  }

  /** Brings an image that `write` writes into the store. @throws what `write` throws, StoreError */
  async importArchive(write: ArchiveSource, options: ImportOptions = {}): Promise<ImageKey> {
    const { importArchive } = await import('./import.ts');
    return this.#recorded(options, (recording) => importArchive(this.data, write, recording));
  }

  // Within the lock of the image, so that nobody sees one without a row for more than a moment.
  async #recorded(
    options: ImportOptions,
    importing: (options: ImportOptions) => Promise<ImportedImage>,
  ): Promise<ImageKey> {
    const { key } = await importing({ ...options, imported: (image) => this.#record(image, options) });
    this.touch(key);
    return key;
  }

  #record(
    { key, manifest, sizeBytes }: ImportedImage,
    { latest = false, remember, layers }: ImportOptions,
  ): void {
    this.#manifests.delete(key);
    const row = {
      key,
      importTime: this.#now(),
      latest,
      sizeBytes,
      ...manifestFields(this.data, key, manifest),
    };
    this.#database.write((db) => {
      putImage(db, { ...row, treeSizeBytes: findImageRow(db, key)?.treeSizeBytes ?? 0 });
      if (remember !== undefined) putFile(db, remember, key);
      if (layers !== undefined) putLayers(db, key, layers);
    });
  }

  /** Notes that the image was imported again without its file having changed. */
  refreshImport(key: ImageKey): void {
    this.#database.write((db) => {
      const row = findImageRow(db, key);
      if (row !== undefined) putImage(db, { ...row, importTime: this.#now(), latest: false });
    });
    this.touch(key);
  }

  /** All images whose metadata is known. */
  list(): AciInfo[] {
    const rows = this.#database.read(allImages, []);
    return rows.map((row) => ({ ...row, lastUsed: this.#lastUsed(row) }));
  }

  /**
   * Name and version of the image, from its row as long as the manifest file is the one the row tells of.
   * @throws StoreError `not-found`, or what is wrong with the manifest
   */
  describe({ key, name, version, manifestFile }: AciInfoRow): { name: string; version: string | undefined } {
    const { sizeBytes, mtimeUs } = manifestFile;
    const found = fileMark(imageManifestFile(this.data, key));
    if (found?.sizeBytes === sizeBytes && found.mtimeUs === mtimeUs) return { name, version };
    const manifest = this.readManifest(key);
    return { name: manifest.name, version: labelValue(manifest.labels, 'version') };
  }

  /** Notes that the image is being used. The time is that of the blob file: cheap, and safe to lose. */
  touch(key: ImageKey): void {
    const seconds = this.#now() / 1000;
    try {
      utimesSync(this.blobPath(key), seconds, seconds);
    } catch (error) {
      // Members of the group rkt may use images that root imported.
      if (!['EPERM', 'EACCES', 'EROFS', 'ENOENT'].some((code) => hasCode(error, code))) throw error;
    }
  }

  /**
   * Forgets the image and deletes its files.
   * @returns what could not be deleted; the image counts as removed all the same.
   * @throws StoreError, KernelError when it is still there.
   */
  remove(key: ImageKey): unknown[] {
    using _lock = this.lockKey(key);
    return this.removeLocked(key);
  }

  /** {@link remove}, for who holds the lock of the image. */
  removeLocked(key: ImageKey): unknown[] {
    const layers = this.#database.write((db) => deleteImage(db, key));
    this.#manifests.delete(key);
    const failures: unknown[] = [];
    const unused = layers.map((digest) => layerFile(this.data, digest));
    for (const file of [imageManifestFile(this.data, key), this.blobPath(key), ...unused]) {
      try {
        withKernelErrors(file, () => rmSync(file, { force: true }));
      } catch (error) {
        failures.push(error);
      }
    }
    return failures;
  }

  /** The exclusive lock on one image. */
  lockKey(key: ImageKey): FileLock {
    return lockKey(this.data, key);
  }

  /** What the database says of one image. */
  findRow(key: ImageKey): AciInfoRow | undefined {
    return this.#database.read((db) => findImageRow(db, key), undefined);
  }

  /** Puts or replaces a row; for who holds the lock of the image. */
  putRow(row: AciInfoRow): void {
    this.#database.write((db) => putImage(db, row));
  }

  /** Writes the manifest of an image again; for who holds its lock. @throws KernelError */
  writeManifest(key: ImageKey, text: string): void {
    // Loaded here: every command opens a store, and node's crypto takes 5 ms.
    const { randomBytes } = process.getBuiltinModule('node:crypto');
    const temporary = path.join(casTmpDir(this.data), `import-${randomBytes(8).toString('hex')}.manifest`);
    writeWhole(imageManifestFile(this.data, key), temporary, text);
    this.#manifests.delete(key);
  }

  /** What the database remembers of downloads and files whose image it should find. */
  references(): ImageReference[] {
    return this.#database.read(allReferences, []);
  }

  /** Forgets what led to an image. */
  forgetReference(reference: ImageReference): void {
    this.#database.write((db) => deleteReference(db, reference));
  }

  /** What the database itself finds wrong with its file; undefined when it is whole or not there. */
  databaseProblem(): string | undefined {
    return this.#database.problem();
  }

  /** Deletes the database; it is made again from the images. */
  dropDatabase(): void {
    this.#database.drop();
  }

  /** Remembers the size of the image's tree; 0 when it is gone. */
  setTreeSize(key: ImageKey, bytes: number): void {
    this.#database.write((db) => setTreeSize(db, key, bytes));
  }

  /** What is known of an earlier download of `url`, if its image is still there. */
  findRemote(url: string): RemoteRow | undefined {
    const row = this.#database.read((db) => findRemote(db, url), undefined);
    return row !== undefined && this.hasKey(row.key) ? row : undefined;
  }

  /** An image that was made of exactly these layers (digests, base first), if it is still there. */
  findMadeOf(layers: readonly string[]): ImageKey | undefined {
    const keys = this.#database.read((db) => findMadeOf(db, layers), []);
    return keys.find((key) => this.hasKey(key) && existsSync(this.blobPath(key)));
  }

  /** Digests of the layers that images of the store were made of. */
  layersInUse(): ReadonlySet<string> {
    return this.#database.read(layersInUse, new Set<string>());
  }

  writeRemote(row: RemoteRow): void {
    this.#database.write((db) => putRemote(db, row));
  }

  /** The image that was read from this very file, if it is still there, and whether its name would find it. */
  findFile(identity: FileIdentity): { key: ImageKey; isNewest: boolean } | undefined {
    const found = this.#database.read((db) => {
      const key = findFile(db, identity);
      const row = key === undefined ? undefined : findImageRow(db, key);
      if (row === undefined) return undefined;
      const newest = imagesNamed(db, row.name).every(({ importTime }) => importTime <= row.importTime);
      return { key: row.key, isNewest: newest && !row.latest };
    }, undefined);
    return found !== undefined && this.hasKey(found.key) && existsSync(this.blobPath(found.key))
      ? found
      : undefined;
  }

  close(): void {
    this.#lock.release();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #manifest(key: ImageKey): { readonly text: string; readonly manifest: ImageManifest } {
    const known = this.#manifests.get(key);
    if (known !== undefined) return known;
    const text = this.manifestFileText(key);
    try {
      const read = { text, manifest: parseImageManifest(text, `manifest of image ${key}`) };
      this.#manifests.set(key, read);
      return read;
    } catch (error) {
      throw wrap(`manifest of image ${key} is damaged`, error);
    }
  }

  /** The text of the manifest file, whatever it is. @throws StoreError `not-found`, KernelError */
  manifestFileText(key: ImageKey): string {
    const file = imageManifestFile(this.data, key);
    try {
      return withKernelErrors(file, () => readFileSync(file, 'utf8'));
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw error;
      throw new StoreError('not-found', `image ${key} is not in the store`);
    }
  }

  #manifestOrNothing(key: ImageKey): ImageManifest | undefined {
    try {
      return this.readManifest(key);
    } catch {
      return undefined;
    }
  }

  #lastUsed(row: AciInfoRow): number {
    const used = statSync(this.blobPath(row.key), { throwIfNoEntry: false })?.mtimeMs;
    return Math.max(used ?? 0, row.importTime);
  }
}

/** The exclusive lock on one image (contract stage0 7.4). */
export function lockKey(data: DataDir, key: ImageKey): FileLock {
  ensureDirectory(imageLocksDir(data));
  return lockFile(imageLockFile(data, key), {
    exclusive: true,
    wait: true,
    create: true,
    mode: STORE_FILE_MODE,
  });
}
