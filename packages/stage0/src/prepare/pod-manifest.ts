// The pod manifest: made from the command line, or given as a file and checked (contract stage0 8.4). Runs in stage0.

import { quote } from '@rkt/diagnostics/quote';
import { MUTABLE_ANNOTATION } from '@rkt/pod-layout/entrypoints';
import type { ImageKey } from '@rkt/spec/image-id';
import type { PodManifest, RuntimeApp } from '@rkt/spec/pod-manifest';
import { mapPorts } from '@rkt/spec/port-mapping';

import { buildInfo } from '../build-info.ts';
import { during } from '../pod/context.ts';
import type { ImageStore } from '../store/store.ts';
import { duplicateApp, runtimeApp } from './app-overrides.ts';
import { inheritableEnvironment } from './env.ts';
import { PrepareError } from './errors.ts';
import type { PodRequest } from './prepare.ts';

/**
 * The manifest of a pod made from images and flags.
 * @throws PrepareError for duplicate apps, an app without exec, and ports that do not fit.
 */
export function generateManifest({ flags, apps, env }: PodRequest, store: ImageStore): PodManifest {
  const overrides = {
    environment: {
      inherited: flags.inheritEnv ? inheritableEnvironment(env) : {},
      setEnv: flags.setEnv,
      setEnvFile: flags.setEnvFile,
    },
    mounts: flags.mounts,
    callerUid: process.getuid?.() ?? 0,
    callerGid: process.getgid?.() ?? 0,
  };
  const runtimeApps: RuntimeApp[] = [];
  for (const { request, key } of apps) {
    const app = runtimeApp(request, key, store.readManifest(key), overrides);
    if (runtimeApps.some(({ name }) => name === app.name)) throw duplicateApp(app.name);
    runtimeApps.push(app);
  }
  const manifest: PodManifest = {
    // Quirk of the contract: rkt's own version, where the standard has its own (stage1 1.10).
    acVersion: buildInfo.version,
    acKind: 'PodManifest',
    apps: runtimeApps,
    ...(flags.volumes.length > 0 && { volumes: [...flags.volumes] }),
    annotations: [
      { name: MUTABLE_ANNOTATION, value: String(flags.mutable ?? false) },
      ...Object.entries(flags.annotations ?? {}).map(([name, value]) => ({ name, value })),
    ],
    ...described('userAnnotations', flags.userAnnotations),
    ...described('userLabels', flags.userLabels),
    ports: [...flags.ports],
  };
  mapPorts(
    flags.ports,
    runtimeApps.map(({ app }) => app?.ports),
  );
  return manifest;
}

/**
 * Checks a manifest the user gave, and finds its images in the store; nothing is fetched.
 * @throws PrepareError `bad-manifest`, `duplicate-app`; SpecError for ports that do not fit.
 */
export function checkGivenManifest(
  manifest: PodManifest,
  store: ImageStore,
): { readonly name: string; readonly key: ImageKey }[] {
  const found: { name: string; key: ImageKey }[] = [];
  const ports = new Map<string, NonNullable<RuntimeApp['app']>['ports']>();
  for (const { name, image, app } of manifest.apps) {
    if (image.id === '') throw new PrepareError('bad-manifest', `no image ID for app ${quote(name)}`);
    if (ports.has(name)) throw new PrepareError('duplicate-app', `multiple apps with same name ${name}`);
    const key = during('error getting the image manifest from store', () => store.resolveKey(image.id));
    const section =
      app ?? during('error getting the image manifest from store', () => store.readManifest(key)).app;
    if (section === undefined) {
      throw new PrepareError('bad-manifest', 'no app section in the pod manifest or the image manifest');
    }
    ports.set(name, section.ports);
    found.push({ name, key });
  }
  mapPorts(manifest.ports ?? [], [...ports.values()]);
  return found;
}

function described<Key extends string>(
  key: Key,
  map: Readonly<Record<string, string>> = {},
): { [key in Key]?: Readonly<Record<string, string>> } {
  return Object.keys(map).length === 0 ? {} : ({ [key]: map } as { [key in Key]: typeof map });
}
