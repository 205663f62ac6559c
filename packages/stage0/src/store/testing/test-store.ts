// A store in a temporary directory with images of a few lines each, for tests. Runs in the test process.

import { closeSync, openSync } from 'node:fs';

import { createLogger } from '@rkt/diagnostics/logger';
import { type DataDir, dataDir } from '@rkt/pod-layout/data-dir';
import type { ImageKey } from '@rkt/spec/image-id';
import { type AciFile, writeAci } from '@rkt/testkit/aci-builder';
import { imageManifest, type ManifestOptions } from '@rkt/testkit/manifests';
import { TempDir } from '@rkt/testkit/tmp';

import { TreeStore } from '../../treestore/tree-store.ts';
import type { ImportOptions } from '../import.ts';
import { type ImageStore, openStore } from '../store.ts';

/** Stores that go away with the `using` block. */
export class TestStore implements Disposable {
  readonly tmp: TempDir = new TempDir('store');
  readonly data: DataDir = dataDir(this.tmp.join('data'));
  /** What was said, line by line. */
  readonly log: string[] = [];
  /** Milliseconds since 1970; advances by a second with every question. */
  clock = 1_600_000_000_000;
  readonly store: ImageStore;
  readonly trees: TreeStore;
  #count = 0;

  constructor() {
    const logger = createLogger({ prefix: 'test', debug: true, write: (text) => this.log.push(text) });
    this.store = openStore(this.data, { logger, now: () => (this.clock += 1000) });
    this.trees = new TreeStore(this.data, this.store, logger);
  }

  /** Writes an image file. */
  write(manifest: ManifestOptions = {}, files: readonly AciFile[] = []): { path: string; key: ImageKey } {
    this.#count += 1;
    return writeAci(this.tmp.join(`${this.#count}.aci`), { manifest: imageManifest(manifest), files });
  }

  /** Writes an image file and imports it. */
  async add(
    manifest: ManifestOptions = {},
    files: readonly AciFile[] = [],
    options: ImportOptions = {},
  ): Promise<ImageKey> {
    return this.import(this.write(manifest, files).path, options);
  }

  /** Imports an image file. */
  async import(path: string, options: ImportOptions = {}): Promise<ImageKey> {
    const fd = openSync(path, 'r');
    try {
      return await this.store.importAci({ fd, name: path }, options);
    } finally {
      closeSync(fd);
    }
  }

  [Symbol.dispose](): void {
    this.store.close();
    this.tmp.remove();
  }
}
