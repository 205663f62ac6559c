// What is mounted into the root of fly's one app, and in which order (contract 3). Pure.

import { resolve } from 'node:path';

import { quote } from '@rkt/diagnostics/quote';
import type { RunArguments } from '@rkt/pod-layout/entrypoints';
import { HOSTS, onHost, RESOLV_CONF } from '@rkt/pod-layout/stage1-paths';
import type { LoadedApp, LoadedPod } from '@rkt/stage1-base/pod';
import type { RootMount } from '@rkt/stage1-base/root-mounts';
import type { Volume } from '@rkt/spec/volume';

import { FlyError } from './errors.ts';

/** Directories of the host that every app sees, with all mounts below them. */
const HOST_DIRECTORIES = ['/dev', '/proc', '/sys'];

/** The mounts of the app, parents before what lies below them. @throws FlyError `bad-volume` */
export function planMounts(
  pod: LoadedPod,
  app: LoadedApp,
  modes: Pick<RunArguments, 'resolvMode' | 'hostsMode'>,
): RootMount[] {
  return [
    ...HOST_DIRECTORIES.map((directory) => bind(directory, directory, { recursive: true })),
    { kind: 'tmpfs', target: '/tmp' },
    ...planVolumes(pod, app),
    ...planNameFiles(pod, modes),
  ];
}

interface WantedMount {
  readonly path: string;
  readonly readOnly: boolean;
  readonly volume: Volume | undefined;
}

function planVolumes({ manifest }: LoadedPod, { runtimeApp, app }: LoadedApp): RootMount[] {
  const volumes = new Map((manifest.volumes ?? []).map((volume) => [volume.name, volume]));
  const wanted = new Map<string, WantedMount>();
  for (const mount of runtimeApp.mounts ?? []) {
    if (wanted.has(mount.volume)) throw badVolume(`duplicate mount given: ${quote(mount.volume)}`);
    wanted.set(mount.volume, {
      path: mount.path,
      readOnly: false,
      volume: mount.appVolume ?? volumes.get(mount.volume),
    });
  }
  for (const { name, path: place, readOnly = false } of app.mountPoints ?? []) {
    const mount = wanted.get(name);
    if (mount !== undefined && mount.path !== place) {
      throw badVolume(`conflicting path information from mount and mountpoint ${quote(name)}`);
    }
    const volume = mount?.volume ?? volumes.get(name);
    if (volume === undefined) throw badVolume(`missing volume for mountpoint ${quote(name)}`);
    wanted.set(name, { path: place, readOnly, volume });
  }
  return [...wanted].map(([name, mount]) => volumeMount(name, mount)).sort(byDepth);
}

function volumeMount(name: string, { path: target, readOnly, volume }: WantedMount): RootMount {
  if (volume === undefined) throw badVolume(`could not find volume ${quote(name)}`);
  if (volume.kind !== 'host' || volume.source === undefined) {
    throw badVolume(`volume ${quote(name)} is of kind ${quote(volume.kind)}, fly supports only "host"`);
  }
  return bind(volume.source, target, {
    recursive: volume.recursive === true,
    readOnly: volume.readOnly ?? readOnly,
  });
}

// A mount at /a would hide one made at /a/b before it.
function byDepth(left: RootMount, right: RootMount): number {
  const depth = ({ target }: RootMount): number => resolve('/', target).split('/').length;
  return depth(left) - depth(right);
}

function planNameFiles(
  { stage1 }: LoadedPod,
  { resolvMode, hostsMode }: Pick<RunArguments, 'resolvMode' | 'hostsMode'>,
): RootMount[] {
  const mounts: RootMount[] = [];
  const add = (source: string, target: string): number => mounts.push(bind(source, target, {}));
  if (resolvMode === 'host') add('/etc/resolv.conf', '/etc/resolv.conf');
  if (resolvMode === 'stage0') add(onHost(stage1, RESOLV_CONF), '/etc/resolv.conf');
  if (hostsMode === 'host') add('/etc/hosts', '/etc/hosts');
  if (hostsMode === 'stage0') add(onHost(stage1, HOSTS), '/etc/hosts');
  return mounts;
}

function bind(
  source: string,
  target: string,
  { recursive = false, readOnly = false }: { recursive?: boolean; readOnly?: boolean },
): RootMount {
  return { kind: 'bind', source, target, recursive, readOnly };
}

function badVolume(message: string): FlyError {
  return new FlyError('bad-volume', message);
}
