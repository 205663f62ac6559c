// One app of a pod manifest: the image's app section with the command line's flags laid over it
// (contract stage0 8.4.1, 11.5, 11.6). Pure. Runs in stage0.

import { quote } from '@rkt/diagnostics/quote';
import { STREAM_ANNOTATIONS } from '@rkt/pod-layout/entrypoints';
import { type AcName, sanitizeAcName } from '@rkt/spec/ac-name';
import type { Annotation } from '@rkt/spec/annotations';
import type { App } from '@rkt/spec/app';
import type { ImageKey } from '@rkt/spec/image-id';
import type { ImageManifest } from '@rkt/spec/image-manifest';
import type { Isolator } from '@rkt/spec/isolator';
import type { Mount } from '@rkt/spec/mount';
import type { RuntimeApp } from '@rkt/spec/pod-manifest';

import type { AppRequest } from '../cli/requests.ts';
import { type EnvironmentSources, mergeEnvironment } from './env.ts';
import { PrepareError } from './errors.ts';

/** What all apps of the pod share. */
export interface PodOverrides {
  readonly environment: Pick<EnvironmentSources, 'inherited' | 'setEnv' | 'setEnvFile'>;
  /** --mount given before any image. */
  readonly mounts: readonly Mount[];
  /** Numeric ids of the caller, for an image that has no app section. */
  readonly callerUid: number;
  readonly callerGid: number;
}

/** The name an app has unless --name says otherwise: the last component of the image's name, as an AC Name. */
export function defaultAppName(imageName: string): AcName {
  return sanitizeAcName(imageName.slice(imageName.lastIndexOf('/') + 1));
}

/**
 * The app's entry in the pod manifest.
 * @throws PrepareError `bad-image` when the image has no app section and the request no --exec.
 */
export function runtimeApp(
  request: AppRequest,
  key: ImageKey,
  image: ImageManifest,
  pod: PodOverrides,
): RuntimeApp {
  const annotations = appAnnotations(request);
  return {
    name: request.name ?? defaultAppName(image.name),
    image: { name: image.name, id: key, ...(image.labels && { labels: image.labels }) },
    app: overrideApp(request, key, image, pod),
    ...(request.readonlyRootfs === true && { readOnlyRootFS: true }),
    ...nonEmpty('mounts', mergeMounts(request.mounts, pod.mounts)),
    ...nonEmpty('annotations', annotations),
  };
}

function overrideApp(request: AppRequest, key: ImageKey, image: ImageManifest, pod: PodOverrides): App {
  const base = image.app ?? minimalApp(request, key, pod);
  const exec = [...(request.exec === undefined ? base.exec : [request.exec]), ...request.args];
  const isolators = overrideIsolators(base.isolators ?? [], request);
  const environment = mergeEnvironment({
    image: base.environment ?? [],
    app: request.environment,
    ...pod.environment,
  });
  return {
    ...base,
    exec,
    ...(request.user !== undefined && { user: request.user }),
    ...(request.group !== undefined && { group: request.group }),
    ...(request.supplementaryGids !== undefined && { supplementaryGIDs: [...request.supplementaryGids] }),
    ...(request.workingDir !== undefined && { workingDirectory: request.workingDir }),
    ...nonEmpty('environment', environment),
    ...nonEmpty('isolators', isolators),
    ...(Object.keys(request.userAnnotations).length > 0 && { userAnnotations: request.userAnnotations }),
    ...(Object.keys(request.userLabels).length > 0 && { userLabels: request.userLabels }),
  };
}

function minimalApp(request: AppRequest, key: ImageKey, { callerUid, callerGid }: PodOverrides): App {
  if (request.exec === undefined) {
    throw new PrepareError(
      'bad-image',
      `error: image ${key} has no app section and --exec argument is not provided`,
    );
  }
  return { exec: [], user: String(callerUid), group: String(callerGid) };
}

const CAPABILITY_SETS = ['os/linux/capabilities-retain-set', 'os/linux/capabilities-remove-set'];
const SECCOMP_SETS = ['os/linux/seccomp-retain-set', 'os/linux/seccomp-remove-set'];

// Limits are appended (the last one counts), scalars and sets replace what the image says.
function overrideIsolators(image: readonly Isolator[], request: AppRequest): Isolator[] {
  if (request.capsRetain !== undefined && request.capsRemove !== undefined) {
    throw new PrepareError(
      'bad-flags',
      'error: cannot use both --caps-retain and --caps-remove on the same image',
    );
  }
  let isolators = [...image];
  const replace = (names: readonly string[], isolator: Isolator): void => {
    isolators = [...isolators.filter(({ name }) => !names.includes(name)), isolator];
  };
  const limit = (name: string, quantity: string | undefined): void => {
    if (quantity !== undefined) {
      isolators.push({ name, value: { default: false, request: quantity, limit: quantity } });
    }
  };
  limit('resource/memory', request.memory);
  limit('resource/cpu', request.cpu);
  if (request.cpuShares !== undefined) {
    replace(['os/linux/cpu-shares'], { name: 'os/linux/cpu-shares', value: request.cpuShares });
  }
  if (request.oomScoreAdj !== undefined) {
    replace(['os/linux/oom-score-adj'], { name: 'os/linux/oom-score-adj', value: request.oomScoreAdj });
  }
  const capabilities = request.capsRetain ?? request.capsRemove;
  if (capabilities !== undefined) {
    const name = `os/linux/capabilities-${request.capsRetain === undefined ? 'remove' : 'retain'}-set`;
    replace(CAPABILITY_SETS, { name, value: { set: [...capabilities] } });
  }
  if (request.seccomp !== undefined) {
    const { mode, set, errno } = request.seccomp;
    replace(SECCOMP_SETS, { name: `os/linux/seccomp-${mode}-set`, value: { set: [...set], errno } });
  }
  return isolators;
}

// The app's own mounts first; of two mounts at one place the first wins.
function mergeMounts(own: readonly Mount[], global: readonly Mount[]): Mount[] {
  const seen = new Set<string>();
  return [...own, ...global].filter((mount) => {
    const place = cleanPath(mount.path);
    if (seen.has(place)) return false;
    seen.add(place);
    return true;
  });
}

function cleanPath(path: string): string {
  const out: string[] = [];
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    if (part === '..') out.pop();
    else out.push(part);
  }
  return `/${out.join('/')}`;
}

function appAnnotations(request: AppRequest): Annotation[] {
  const annotations = Object.entries(request.annotations).map(([name, value]) => ({ name, value }));
  for (const stream of ['stdin', 'stdout', 'stderr'] as const) {
    const mode = request[stream];
    if (mode !== undefined && mode !== '')
      annotations.push({ name: STREAM_ANNOTATIONS[stream], value: mode });
  }
  return annotations;
}

function nonEmpty<Key extends string, Item>(key: Key, list: readonly Item[]): { [key in Key]?: Item[] } {
  return list.length === 0 ? {} : ({ [key]: [...list] } as { [key in Key]: Item[] });
}

/** The error of two apps with one name. */
export function duplicateApp(name: string): PrepareError {
  return new PrepareError('duplicate-app', `error: multiple apps with name ${name}`, {
    hint: `give one of them another name with --name, ${quote(name)} is taken`,
  });
}
