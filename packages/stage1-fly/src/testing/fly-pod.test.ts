// A pod that fly can run, made by hand, and its entry points as one bundled program. Holds no tests: the name puts it
// under the rules for tests, and keeps it out of what is shipped. Runs in test processes.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess, SpawnSyncReturns } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { buildSync } from 'esbuild';

const BUSYBOX = '/bin/busybox';
/** Flags of the node that runs the entry points. */
export const NODE_FLAGS: readonly string[] = ['--disable-warning=ExperimentalWarning'];
/** Number of the lock's descriptor in every process of the pod. */
export const LOCK_FD: number = 3;

/** The entry points in one file, as in the image; made once for each {@link describeFly}. */
export let program = '';

/** Parts of the manifests tests vary. */
export interface PodParts {
  readonly app?: object;
  readonly runtimeApp?: object;
  readonly volumes?: readonly object[];
  readonly apps?: readonly object[];
}

/** A pod of one app whose root holds a static busybox. */
export class FlyPod implements Disposable {
  readonly uuid: string = randomUUID();
  readonly base: string = mkdtempSync(join(tmpdir(), 'rkt-fly-'));
  readonly dir: string = join(this.base, this.uuid);
  readonly rootfs: string = join(this.dir, 'stage1/rootfs/opt/stage2/app/rootfs');

  constructor(exec: readonly string[], { app = {}, runtimeApp = {}, volumes = [], apps }: PodParts = {}) {
    chmodSync(this.base, 0o755);
    mkdirSync(join(this.rootfs, 'bin'), { recursive: true });
    mkdirSync(join(this.rootfs, 'etc'));
    copyFileSync(BUSYBOX, join(this.rootfs, 'bin/busybox'));
    for (const applet of [
      'sh',
      'cat',
      'id',
      'env',
      'ls',
      'sleep',
      'touch',
      'readlink',
      'stat',
      'wc',
      'grep',
    ]) {
      symlinkSync('busybox', join(this.rootfs, 'bin', applet));
    }
    this.write('appsinfo/app/manifest', {
      acKind: 'ImageManifest',
      acVersion: '0.8.11',
      name: 'example.com/app',
      app: { exec, user: '0', group: '0', ...app },
    });
    this.write('pod', {
      acVersion: '2.0.0',
      acKind: 'PodManifest',
      apps: apps ?? [{ name: 'app', image: { id: `sha512-${'a'.repeat(64)}` }, ...runtimeApp }],
      volumes,
    });
  }

  /** Writes a file of the pod directory. */
  write(name: string, content: unknown): void {
    const file = join(this.dir, name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
  }

  /** Runs an entry point to its end, in the pod directory, with the pod's lock as descriptor 3. */
  call(name: string, args: readonly string[], env: Record<string, string> = {}): SpawnSyncReturns<string> {
    const lock = openSync(this.dir, 'r');
    try {
      return spawnSync(process.execPath, [...NODE_FLAGS, program, ...args], {
        argv0: name,
        cwd: this.dir,
        encoding: 'utf8',
        env: { RKT_LOCK_FD: String(LOCK_FD), CALLER: 'secret', ...env },
        stdio: ['ignore', 'pipe', 'pipe', lock],
      });
    } finally {
      closeSync(lock);
    }
  }

  /** Runs the app to its end. */
  run(...flags: string[]): SpawnSyncReturns<string> {
    return this.call('run', ['--net=host', ...flags, this.uuid]);
  }

  /** Starts the pod and leaves it running. */
  start(): ChildProcess {
    const lock = openSync(this.dir, 'r');
    try {
      return spawn(process.execPath, [...NODE_FLAGS, program, '--net=host', this.uuid], {
        argv0: 'run',
        cwd: this.dir,
        env: { RKT_LOCK_FD: String(LOCK_FD) },
        stdio: ['ignore', 'pipe', 'inherit', lock],
      });
    } finally {
      closeSync(lock);
    }
  }

  /** Names of the pod's cgroups in all hierarchies. */
  cgroups(): string[] {
    const marker = this.uuid.slice(0, 8);
    return readdirSync('/sys/fs/cgroup', { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .flatMap(({ name }) =>
        readdirSync(join('/sys/fs/cgroup', name)).filter((each) => each.includes(marker)),
      );
  }

  [Symbol.dispose](): void {
    this.call('gc', [this.uuid]);
    rmSync(this.base, { recursive: true, force: true });
  }
}

/** The arguments of a shell that runs `script`. */
export const shell = (script: string): string[] => ['/bin/sh', '-c', script];

/** What an app wrote that ended well. */
export function output(exec: readonly string[], parts: PodParts = {}, flags: readonly string[] = []): string {
  using pod = new FlyPod(exec, parts);
  const result = pod.run(...flags);
  assert.equal(result.status, 0, result.stderr);
  return result.stdout;
}

/** What a pod that could not be started said. */
export function failure(
  exec: readonly string[],
  parts: PodParts = {},
  flags: readonly string[] = [],
): string {
  using pod = new FlyPod(exec, parts);
  const result = pod.run(...flags);
  assert.equal(result.status, 254);
  assert.equal(result.stdout, '');
  return result.stderr;
}

/** Declares tests that need root and a static busybox; the entry points are bundled once for them. */
export function describeFly(title: string, body: () => void): void {
  describe(title, function () {
    this.timeout(30_000);
    before(function () {
      if (process.getuid?.() !== 0 || !existsSync(BUSYBOX)) this.skip();
      program = join(mkdtempSync(join(tmpdir(), 'rkt-fly-program-')), 'stage1.cjs');
      buildSync({
        entryPoints: [join(import.meta.dirname, '../bin/stage1.ts')],
        outfile: program,
        bundle: true,
        platform: 'node',
        format: 'cjs',
        conditions: ['@rkt/source'],
      });
    });
    after(() => {
      if (program !== '') rmSync(dirname(program), { recursive: true });
      program = '';
    });
    body();
  });
}
