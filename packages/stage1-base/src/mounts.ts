// The bind mounts that bring volumes into an app, as systemd-nspawn takes them (contract 2.12, 2.23). Runs in the run
// entry point, on the host.

import { resolveInRoot } from '@rkt/linux/safe-path';
import type { PodDir } from '@rkt/pod-layout/pod-paths';

import type { LoadedApp } from './pod.ts';
import { volumeSource } from './volumes.ts';
import type { AppMount } from './volumes.ts';

/** A bind mount from the host into the pod. */
export interface BindIntoPod {
  /** On the host, absolute. */
  readonly source: string;
  /** Inside the app, absolute and free of links. */
  readonly inApp: string;
  /** Inside stage1, absolute. */
  readonly target: string;
  readonly readOnly: boolean;
  readonly recursive: boolean;
}

/**
 * The bind mounts of an app. Every link in a mount's path is resolved inside the app's root, as `readlink -m` would.
 * @throws LinuxError `too-many-links`
 */
export function bindMounts(pod: PodDir, loaded: LoadedApp, mounts: readonly AppMount[]): BindIntoPod[] {
  return mounts.map(({ volume, path, readOnly }) => {
    const inApp = resolveInRoot(loaded.rootfs, path);
    return {
      source: volumeSource(pod, volume),
      inApp,
      target: inApp === '/' ? loaded.rootfsInStage1 : `${loaded.rootfsInStage1}${inApp}`,
      readOnly,
      recursive: volume.recursive ?? true,
    };
  });
}

/** The option of systemd-nspawn for a bind mount. */
export function nspawnBind({ source, target, readOnly, recursive }: Omit<BindIntoPod, 'inApp'>): string {
  const option = readOnly ? '--bind-ro' : '--bind';
  return `${option}=${escapeColons(source)}:${escapeColons(target)}:${recursive ? 'rbind' : 'norbind'}`;
}

// nspawn splits at colons and takes a backslash as escape.
function escapeColons(text: string): string {
  return text.replace(/[\\:]/g, '\\$&');
}
