// The pod as stage1 sees it: the manifests that stage0 left in the pod directory, put together.
// Runs in every stage1 entry point, on the host. Manifest readers are parameters: a flavour that must start fast
// brings light ones (load-pod.ts brings the full codecs).

import { readFileSync } from 'node:fs';

import { quote } from '@rkt/diagnostics/quote';
import { wrap } from '@rkt/diagnostics/rkt-error';
import { appImageManifestFile, podDir, podManifestFile, stage1Rootfs } from '@rkt/pod-layout/pod-paths';
import type { AppName, PodDir, Stage1Root } from '@rkt/pod-layout/pod-paths';
import { appRootfs, appRootfsIn } from '@rkt/pod-layout/stage1-paths';
import type { App } from '@rkt/spec/app';
import type { ImageManifest } from '@rkt/spec/image-manifest';
import type { PodManifest, RuntimeApp } from '@rkt/spec/pod-manifest';

import { Stage1Error } from './errors.ts';

/** One app of the pod. */
export interface LoadedApp {
  readonly name: AppName;
  readonly runtimeApp: RuntimeApp;
  /** The pod manifest's app section, else the image's. */
  readonly app: App;
  readonly image: ImageManifest;
  /** Root of the app as the host sees it, absolute. */
  readonly rootfs: string;
  /** Root of the app as stage1 sees it: `/opt/stage2/<app>/rootfs`. */
  readonly rootfsInStage1: string;
}

/** A pod with everything its manifests say. */
export interface LoadedPod {
  readonly dir: PodDir;
  /** Root of stage1 as the host sees it, absolute. */
  readonly stage1: Stage1Root;
  readonly manifest: PodManifest;
  readonly apps: readonly LoadedApp[];
}

/** How manifests become data. */
export interface ManifestReaders {
  readonly parsePodManifest: (text: string) => PodManifest;
  readonly parseImageManifest: (text: string) => ImageManifest;
}

/**
 * Reads the pod in `directory` (absolute). Image manifests come from `appsinfo`, which the pod cannot write.
 * @throws Stage1Error `pod-unreadable` when a file is missing, `pod-invalid` for what contract 1.10 (end) refuses
 */
export function readPod(directory: string, readers: ManifestReaders): LoadedPod {
  const dir = podDir(directory);
  const stage1 = stage1Rootfs(dir);
  const manifest = readManifest(podManifestFile(dir), 'pod manifest', readers.parsePodManifest);
  refuseDuplicates(
    (manifest.volumes ?? []).map(({ name }) => name),
    (name) => `duplicate volume name ${quote(name)}`,
  );
  refuseDuplicates(
    manifest.apps.map(({ name }) => name),
    (name) => `got multiple definitions for app: ${name}`,
  );
  const apps = manifest.apps.map((runtimeApp): LoadedApp => {
    const { name } = runtimeApp;
    const image = readManifest(appImageManifestFile(dir, name), 'image manifest', readers.parseImageManifest);
    const app = runtimeApp.app ?? image.app;
    if (app === undefined) {
      throw new Stage1Error(
        'pod-invalid',
        `no app section in the pod manifest or the image manifest of app ${quote(name)}`,
      );
    }
    return {
      name,
      runtimeApp,
      app,
      image,
      rootfs: appRootfs(stage1, name),
      rootfsInStage1: appRootfsIn(name),
    };
  });
  return { dir, stage1, manifest, apps };
}

/** The one app of a pod, for flavours that run no more. @throws Stage1Error `unsupported` with `refusal` */
export function onlyApp({ apps }: Pick<LoadedPod, 'apps'>, refusal: string): LoadedApp {
  const [app] = apps;
  if (app === undefined || apps.length > 1) throw new Stage1Error('unsupported', refusal);
  return app;
}

/** The app of that name, or the first one without a name. @throws Stage1Error `no-such-app` */
export function appNamed({ apps }: Pick<LoadedPod, 'apps'>, name: string | undefined): LoadedApp {
  const app = name === undefined ? apps[0] : apps.find((candidate) => candidate.name === name);
  if (app === undefined) throw new Stage1Error('no-such-app', `no app ${quote(name ?? '')} in the pod`);
  return app;
}

function readManifest<Manifest>(file: string, what: string, parse: (text: string) => Manifest): Manifest {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new Stage1Error('pod-unreadable', `unable to read ${what} ${quote(file)}`, { cause });
  }
  try {
    return parse(text);
  } catch (cause) {
    throw wrap(`invalid ${what} ${quote(file)}`, cause);
  }
}

function refuseDuplicates(names: readonly string[], message: (name: string) => string): void {
  const seen = new Set<string>();
  for (const name of names) {
    if (seen.has(name)) throw new Stage1Error('pod-invalid', message(name));
    seen.add(name);
  }
}
