// Which volume is mounted where in an app, and the directories of empty volumes (contract 2.23). Runs in the run entry
// point, on the host.

import { chmodSync, chownSync, mkdirSync } from 'node:fs';
import path from 'node:path';

import { quote } from '@rkt/diagnostics/quote';
import { DOCKER_REPOSITORY_ANNOTATION } from '@rkt/pod-layout/entrypoints';
import type { UidRange } from '@rkt/pod-layout/files';
import { SHARED_VOLUMES_MODE, sharedVolume, sharedVolumesDir } from '@rkt/pod-layout/pod-paths';
import type { PodDir } from '@rkt/pod-layout/pod-paths';
import type { Volume } from '@rkt/spec/volume';

import { Stage1Error } from './errors.ts';
import type { LoadedApp, LoadedPod } from './pod.ts';

/** One mount of an app. */
export interface AppMount {
  readonly volume: Volume;
  /** In the app, as the manifests say it: may be relative, lead through links or hold `..`. */
  readonly path: string;
  readonly readOnly: boolean;
  /** The volume was made up for a mount point that nobody gave one. */
  readonly implicit: boolean;
}

/** How the user learns of volumes that were made up. */
export type Warn = (line: string) => void;

/**
 * The mounts of an app in the order of its manifests: those of the pod manifest, then its mount points.
 * @throws Stage1Error `bad-volume` when a mount names no volume
 */
export function appMounts(
  { manifest }: Pick<LoadedPod, 'manifest'>,
  loaded: LoadedApp,
  warn: Warn,
): AppMount[] {
  const volumes = new Map((manifest.volumes ?? []).map((volume) => [volume.name, volume]));
  const points = loaded.app.mountPoints ?? [];
  const mounts = (loaded.runtimeApp.mounts ?? []).map((mount): AppMount => {
    const volume = mount.appVolume ?? volumes.get(mount.volume);
    if (volume === undefined) {
      throw new Stage1Error('bad-volume', `could not find volume ${quote(mount.volume)}`);
    }
    const point = points.find(({ name }) => name === mount.volume);
    const readOnly = volume.readOnly ?? point?.readOnly ?? false;
    return { volume, path: mount.path, readOnly, implicit: false };
  });
  for (const point of points) {
    if (mounts.some((mount) => mount.path === point.path)) continue;
    const given = volumes.get(point.name);
    mounts.push({
      volume: given ?? implicitVolume(loaded, point.name, warn),
      path: point.path,
      readOnly: given?.readOnly ?? point.readOnly ?? false,
      implicit: given === undefined,
    });
  }
  return firstOfEachPath(mounts);
}

function implicitVolume(loaded: LoadedApp, mountPoint: string, warn: Warn): Volume {
  warn(
    `warning: no volume specified for mount point ${quote(mountPoint)}, implicitly creating an "empty" volume. ` +
      'This volume will be removed when the pod is garbage-collected.',
  );
  if (isDockerImage(loaded)) {
    warn(
      `Docker converted image, initializing implicit volume with data contained at the mount point ${quote(mountPoint)}.`,
    );
  }
  return { name: `${loaded.name}-${mountPoint}`, kind: 'empty', mode: '0755', uid: 0, gid: 0 };
}

/** Whether the image was converted from a docker image. */
export function isDockerImage({ image }: Pick<LoadedApp, 'image'>): boolean {
  return (image.annotations ?? []).some(({ name }) => name.toLowerCase() === DOCKER_REPOSITORY_ANNOTATION);
}

// Of `/mnt` and `/mnt/` the first wins.
function firstOfEachPath(mounts: readonly AppMount[]): AppMount[] {
  const clean = ({ path: place }: AppMount): string => path.posix.resolve('/', place);
  return mounts.filter(
    (mount, index) => mounts.findIndex((other) => clean(other) === clean(mount)) === index,
  );
}

/** The host path that a volume stands for. */
export function volumeSource(pod: PodDir, { kind, source, name }: Volume): string {
  return kind === 'host' && source !== undefined ? source : sharedVolume(pod, name);
}

/**
 * Makes the directory of an empty volume with exactly the owner and mode the manifest asks for; `users` are those of a pod
 * that has its own, of which the owner is one.
 * @throws Stage1Error `bad-volume` for a mode that is not octal, and for an owner that is none of the pod's
 */
export function createEmptyVolume(
  pod: PodDir,
  { name, mode = '0755', uid = 0, gid = 0 }: Volume,
  users: UidRange | undefined,
): void {
  if (!/^[0-7]{1,5}$/.test(mode)) {
    throw new Stage1Error('bad-volume', `invalid mode ${quote(mode)} for volume ${quote(name)}`);
  }
  const { shift, count } = users ?? { shift: 0, count: Infinity };
  if (uid >= count || gid >= count) {
    throw new Stage1Error(
      'bad-volume',
      `volume ${quote(name)}: uid ${uid} or gid ${gid} are out of range ${count}`,
    );
  }
  const parent = sharedVolumesDir(pod);
  mkdirSync(parent, { recursive: true, mode: SHARED_VOLUMES_MODE });
  chmodSync(parent, SHARED_VOLUMES_MODE);
  const directory = sharedVolume(pod, name);
  mkdirSync(directory, { recursive: true, mode: 0o770 });
  chownSync(directory, uid + shift, gid + shift);
  chmodSync(directory, Number.parseInt(mode, 8) & 0o7777);
}
