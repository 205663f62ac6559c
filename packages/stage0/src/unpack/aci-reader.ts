// Sorts the entries of an image archive: the manifest, the files of its root, and what is neither
// (contract stage0 3.7, 7.6). Runs in stage0.

import { type BytePath, readable } from './byte-path.ts';
import { cleanEntryName, cleanLinkName } from './entry-policy.ts';
import { exceed, refuse } from './errors.ts';
import type { ArchiveLimits } from './limits.ts';
import type { EntrySink, TarEntry } from './tar-entry.ts';

/** Takes the files below `rootfs/`. */
export interface RootfsSink {
  /** Whether the entry is wanted; nothing else is called for one that is not. */
  wants?(path: BytePath, entry: TarEntry): boolean;
  /** `target` is the path a hard link names, empty for everything else. */
  entry(path: BytePath, entry: TarEntry, target: BytePath): void;
  data(bytes: Buffer): void;
  endEntry(): void;
}

const MANIFEST = 'manifest';
const ROOTFS = 'rootfs';
const BELOW_ROOTFS = 'rootfs/';

/** An {@link EntrySink} that keeps the manifest and hands the root's files on. */
export class AciReader implements EntrySink {
  readonly #rootfs: RootfsSink | undefined;
  readonly #limits: ArchiveLimits;
  #current: 'manifest' | 'rootfs' | 'skipped' = 'skipped';
  #manifest: Buffer[] | undefined;
  #fileBytes = 0;

  constructor(rootfs: RootfsSink | undefined, limits: ArchiveLimits) {
    this.#rootfs = rootfs;
    this.#limits = limits;
  }

  /** The manifest's text. @throws UnpackError when the archive had none. */
  manifestText(): string {
    if (this.#manifest === undefined) return refuse('bad-archive', 'missing manifest');
    return Buffer.concat(this.#manifest).toString('utf8');
  }

  entry(entry: TarEntry): void {
    const name = cleanEntryName(entry.name);
    this.#fileBytes += entry.size;
    if (this.#fileBytes > this.#limits.maxFileBytes) {
      exceed('max-image-size', `files of more than ${this.#limits.maxFileBytes} bytes in the archive`);
    }
    if (name === MANIFEST) this.#beginManifest(entry);
    else if (name === ROOTFS || name.startsWith(BELOW_ROOTFS)) this.#beginRootfs(name.slice(7), entry);
    else this.#current = 'skipped';
  }

  data(bytes: Buffer): void {
    if (this.#current === 'rootfs') this.#rootfs?.data(bytes);
    else if (this.#current === 'manifest') this.#manifest?.push(Buffer.from(bytes));
  }

  endEntry(): void {
    if (this.#current === 'rootfs') this.#rootfs?.endEntry();
    this.#current = 'skipped';
  }

  #beginManifest({ type, size, sparse }: TarEntry): void {
    if (this.#manifest !== undefined) refuse('bad-archive', 'more than one manifest');
    if (type !== 'file' || sparse !== undefined) refuse('bad-archive', 'manifest is not a regular file');
    if (size > this.#limits.maxManifestBytes) refuse('limit-exceeded', `manifest of ${size} bytes`);
    this.#manifest = [];
    this.#current = 'manifest';
  }

  #beginRootfs(path: BytePath, entry: TarEntry): void {
    const target = entry.type === 'hardlink' ? this.#linkTarget(path, entry) : '';
    this.#current = 'skipped';
    if (this.#rootfs === undefined || this.#rootfs.wants?.(path, entry) === false) return;
    this.#current = 'rootfs';
    this.#rootfs.entry(path, entry, target);
  }

  #linkTarget(path: BytePath, entry: TarEntry): BytePath {
    const target = cleanLinkName(entry.linkName, `${BELOW_ROOTFS}${path}`);
    if (target.startsWith(BELOW_ROOTFS)) return target.slice(BELOW_ROOTFS.length);
    return refuse(
      'unsafe-entry',
      `hard link rootfs/${readable(path)} to ${readable(target)}: target is outside of rootfs`,
    );
  }
}
