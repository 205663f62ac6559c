// Pod directories in any state, without a rkt that made them. Runs in the test process.

import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdirSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

import { dataDir } from '@rkt/pod-layout/data-dir';
import { printExitStatus, printPid } from '@rkt/pod-layout/files';
import type { PodDirectoryName } from '@rkt/pod-layout/lifecycle';
import type { NetInfo } from '@rkt/pod-layout/net-info';
import { printNetInfo } from '@rkt/pod-layout/net-info';
import {
  appImageManifestFile,
  appTreeIdFile,
  netInfoFile,
  overlayPreparedMark,
  type PodDir,
  podCreatedMark,
  podManifestFile,
  podMutationLock,
  podPath,
  ppidFile,
  stage1ManifestFile,
  stage1StatusRoot,
  stage1TreeIdFile,
} from '@rkt/pod-layout/pod-paths';
import { statusFile, SUPERVISOR_READY, supervisorStatus } from '@rkt/pod-layout/stage1-paths';

import type { ManifestJson } from './manifests.ts';
import { imageManifest } from './manifests.ts';

/** One app of a pod. */
export interface PodAppDescription {
  readonly name: string;
  readonly imageName?: string;
  /** Version label of the image; 1.0.0 by default. */
  readonly version?: string;
  readonly imageKey?: string;
  readonly treeId?: string;
  /** What its status file holds; absent: no such file. */
  readonly exitStatus?: number;
}

/** What to build. Everything has a default that makes a plausible pod of that state. */
export interface PodDescription {
  readonly uuid?: string;
  readonly directory: PodDirectoryName;
  readonly apps?: readonly PodAppDescription[];
  readonly createdAt?: Date;
  /** Present: the pod has a `ppid` file of that time. */
  readonly startedAt?: Date;
  readonly pid?: number;
  readonly networks?: readonly NetInfo[];
  readonly ready?: boolean;
  /** Pod manifest as it is, `null` for none. */
  readonly manifest?: ManifestJson | string | null;
  /** Manifest of its stage1. */
  readonly stage1Manifest?: ManifestJson;
  /** Present: an overlay pod whose stage1 has this tree. */
  readonly stage1TreeId?: string;
}

/** A pod that was built. */
export interface BuiltPod {
  readonly uuid: string;
  readonly dir: PodDir;
  remove(): void;
}

/** Builds a pod below the data directory `data`. */
export function buildPod(data: string, description: PodDescription): BuiltPod {
  const { uuid = randomUUID(), directory, apps = [{ name: 'app' }], stage1TreeId } = description;
  const dir = podPath(dataDir(data), directory, uuid);
  mkdirSync(dir, { recursive: true, mode: 0o750 });
  const created = description.createdAt ?? new Date();
  if (description.manifest !== null)
    writeFile(podManifestFile(dir), json(description.manifest ?? podManifest(apps)));
  if (directory !== 'embryo' && directory !== 'prepare') {
    writeFile(podCreatedMark(dir), '', created);
    writeFile(podMutationLock(dir), '');
  }
  writeFile(
    stage1ManifestFile(dir),
    json(description.stage1Manifest ?? imageManifest({ name: 'example.com/stage1' })),
  );
  if (stage1TreeId !== undefined) {
    writeFile(overlayPreparedMark(dir), '');
    writeFile(stage1TreeIdFile(dir), stage1TreeId);
  }
  const statusRoot = stage1StatusRoot(dir, stage1TreeId);
  for (const app of apps) {
    const { name, imageName = `example.com/${name}`, version = '1.0.0', treeId, exitStatus } = app;
    writeFile(
      appImageManifestFile(dir, name),
      json(imageManifest({ name: imageName, version, exec: ['/bin/true'] })),
    );
    if (treeId !== undefined) writeFile(appTreeIdFile(dir, name), treeId);
    if (exitStatus !== undefined) writeFile(statusFile(statusRoot, name), printExitStatus(exitStatus));
  }
  const { startedAt, networks, ready = false } = description;
  if (startedAt !== undefined) writeFile(ppidFile(dir), printPid(description.pid ?? 999_999), startedAt);
  if (networks !== undefined) writeFile(netInfoFile(dir), printNetInfo(networks));
  if (ready) {
    mkdirSync(dirname(supervisorStatus(statusRoot)), { recursive: true });
    symlinkSync(SUPERVISOR_READY, supervisorStatus(statusRoot));
  }
  return { uuid, dir, remove: () => rmSync(dir, { recursive: true, force: true }) };
}

/** Holds the exclusive lock of a pod in another process until it is released, as a running pod does. */
export async function lockPod(dir: string): Promise<{ readonly pid: number; release(): Promise<void> }> {
  const child: ChildProcess = spawn(
    'flock',
    ['--exclusive', '--no-fork', dir, 'sh', '-c', 'echo; exec cat'],
    {
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  );
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  await new Promise<void>((resolve, reject) => {
    child.stdout?.once('data', () => resolve());
    child.once('exit', (code) => reject(new Error(`flock ended with ${code}`)));
    child.once('error', reject);
  });
  return {
    pid: child.pid ?? 0,
    release: async () => {
      child.stdin?.end();
      await ended;
    },
  };
}

function podManifest(apps: readonly PodAppDescription[]): ManifestJson {
  return {
    acVersion: '2.0.0',
    acKind: 'PodManifest',
    apps: apps.map(({ name, imageName = `example.com/${name}`, version = '1.0.0', imageKey }) => ({
      name,
      image: {
        name: imageName,
        id: imageKey ?? `sha512-${'0'.repeat(64)}`,
        labels: [{ name: 'version', value: version }],
      },
      app: { exec: ['/bin/true'], user: '0', group: '0' },
    })),
    volumes: null,
    isolators: null,
    annotations: [{ name: 'coreos.com/rkt/stage1/mutable', value: 'false' }],
    ports: [],
  };
}

function json(value: ManifestJson | string): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function writeFile(path: string, content: string, time?: Date): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o750 });
  writeFileSync(path, content, { mode: 0o640 });
  if (time !== undefined) utimesSync(path, time, time);
}
