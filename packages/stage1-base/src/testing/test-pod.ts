// A pod directory with one app and a root, for the tests of this package. Runs in test processes.

import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { appImageManifestFile, podDir, podManifestFile } from '@rkt/pod-layout/pod-paths';

import { loadPod } from '../load-pod.ts';
import type { LoadedApp } from '../pod.ts';

/** A file of an app's root: text, a directory, or a symlink. */
export type RootFile =
  { readonly text: string; readonly mode?: number } | { readonly link: string } | 'directory';

/** Parts of the manifests tests vary. */
export interface TestPodOptions {
  readonly app?: Readonly<Record<string, unknown>>;
  readonly image?: Readonly<Record<string, unknown>>;
  readonly runtimeApp?: Readonly<Record<string, unknown>>;
  readonly pod?: Readonly<Record<string, unknown>>;
  readonly files?: Readonly<Record<string, RootFile>>;
}

/** A pod directory that goes away with `using`. */
export class TestPod implements Disposable {
  readonly dir: string = mkdtempSync(join(tmpdir(), 'rkt-stage1-'));
  readonly rootfs: string = join(this.dir, 'stage1/rootfs/opt/stage2/web/rootfs');

  constructor({ app = {}, image = {}, runtimeApp = {}, pod = {}, files = {} }: TestPodOptions = {}) {
    chmodSync(this.dir, 0o755);
    mkdirSync(this.rootfs, { recursive: true });
    this.#write(appImageManifestFile(podDir(this.dir), 'web'), {
      acKind: 'ImageManifest',
      acVersion: '0.8.11',
      name: 'example.com/web',
      app: { exec: ['/bin/srv'], user: '0', group: '0', ...app },
      ...image,
    });
    this.#write(podManifestFile(podDir(this.dir)), {
      acVersion: '2.0.0',
      acKind: 'PodManifest',
      apps: [{ name: 'web', image: { id: `sha512-${'a'.repeat(64)}` }, ...runtimeApp }],
      volumes: null,
      isolators: null,
      annotations: [{ name: 'coreos.com/rkt/stage1/mutable', value: 'false' }],
      ports: null,
      ...pod,
    });
    for (const [name, file] of Object.entries(files)) this.#add(join(this.rootfs, name), file);
  }

  /** The pod's one app. */
  load(): LoadedApp {
    const [app] = loadPod(this.dir).apps;
    if (app === undefined) throw new Error('the test pod has an app');
    return app;
  }

  [Symbol.dispose](): void {
    rmSync(this.dir, { recursive: true, force: true });
  }

  #write(file: string, content: unknown): void {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, JSON.stringify(content));
  }

  #add(path: string, file: RootFile): void {
    mkdirSync(file === 'directory' ? path : dirname(path), { recursive: true });
    if (file === 'directory') return;
    if ('link' in file) symlinkSync(file.link, path);
    else writeFileSync(path, file.text, { mode: file.mode ?? 0o644 });
  }
}
