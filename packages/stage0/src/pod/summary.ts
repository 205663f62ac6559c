// The few facts of a pod manifest that listing a thousand pods needs, read without the codecs: a stored manifest was
// validated when the pod was prepared, so here a wrong type only has to be an error, not a diagnosis. Runs in stage0.

import { readFileSync } from 'node:fs';

import { type PodDir, podManifestFile, sharedVolume } from '@rkt/pod-layout/pod-paths';

import { PodError } from './errors.ts';
import { readAppImageManifestText } from './record.ts';

/** What listings show of a pod manifest. */
export interface PodSummary {
  readonly apps: readonly AppSummary[];
  readonly userAnnotations: Readonly<Record<string, string>>;
  readonly userLabels: Readonly<Record<string, string>>;
}

export interface AppSummary {
  readonly name: string;
  readonly imageId: string;
  /** `name` or `name:version`; undefined when neither the pod nor its copy of the image manifest tells. */
  readonly imageName: string | undefined;
  readonly mounts: readonly MountSummary[];
  readonly userAnnotations: Readonly<Record<string, string>>;
  readonly userLabels: Readonly<Record<string, string>>;
}

export interface MountSummary {
  readonly volume: string;
  readonly path: string;
  readonly source: string | undefined;
  readonly readOnly: boolean;
}

/**
 * Reads what listings show.
 * @throws PodError `bad-manifest` when the manifest is not one.
 */
export function summarizeManifest(pod: PodDir): PodSummary {
  const file = podManifestFile(pod);
  const manifest = parseObject(readFileSync(file, 'utf8'), file);
  const volumes = objects(manifest['volumes']);
  return {
    apps: objects(manifest['apps']).map((app) => summarizeApp(pod, app, volumes)),
    userAnnotations: strings(manifest['userAnnotations']),
    userLabels: strings(manifest['userLabels']),
  };
}

type JsonObject = Readonly<Record<string, unknown>>;

function summarizeApp(pod: PodDir, runtimeApp: JsonObject, volumes: readonly JsonObject[]): AppSummary {
  const name = text(runtimeApp['name']);
  const image = object(runtimeApp['image']);
  const app = object(runtimeApp['app']);
  return {
    name,
    imageId: text(image['id']),
    imageName: imageName(text(image['name']), objects(image['labels'])) ?? imageNameFromCopy(pod, name),
    mounts: objects(runtimeApp['mounts']).map((mount) => summarizeMount(pod, mount, volumes)),
    userAnnotations: strings(app['userAnnotations']),
    userLabels: strings(app['userLabels']),
  };
}

function summarizeMount(pod: PodDir, mount: JsonObject, volumes: readonly JsonObject[]): MountSummary {
  const volume = text(mount['volume']);
  const own = object(mount['appVolume']);
  const found = text(own['name']) === '' ? (volumes.find((entry) => entry['name'] === volume) ?? {}) : own;
  const source = found['kind'] === 'empty' ? sharedVolume(pod, text(found['name'])) : text(found['source']);
  return {
    volume,
    path: text(mount['path']),
    source: source || undefined,
    readOnly: found['readOnly'] === true,
  };
}

function imageName(name: string, labels: readonly JsonObject[]): string | undefined {
  if (name === '') return undefined;
  const version = labels.find((label) => label['name'] === 'version')?.['value'];
  return typeof version === 'string' && version !== '' ? `${name}:${version}` : name;
}

// A pod made from --pod-manifest need not name its images; the pod's copies of their manifests do.
function imageNameFromCopy(pod: PodDir, app: string): string | undefined {
  try {
    const manifest = parseObject(readAppImageManifestText(pod, app), app);
    return imageName(text(manifest['name']), objects(manifest['labels']));
  } catch {
    return undefined;
  }
}

function parseObject(json: string, where: string): JsonObject {
  try {
    const value: unknown = JSON.parse(json);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonObject;
  } catch (cause) {
    throw new PodError('bad-manifest', `${where} is not JSON: ${(cause as Error).message}`);
  }
  throw new PodError('bad-manifest', `${where} is no JSON object`);
}

function object(value: unknown): JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : {};
}

function objects(value: unknown): JsonObject[] {
  return Array.isArray(value) ? value.map(object) : [];
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function strings(value: unknown): Record<string, string> {
  return Object.fromEntries(Object.entries(object(value)).map(([key, entry]) => [key, text(entry)]));
}
