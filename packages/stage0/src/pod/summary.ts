// The few facts of a pod's manifests that listing a thousand pods and launching one need, read without the codecs:
// what is stored was validated when the pod was prepared, so here a wrong type need not be diagnosed. Runs in stage0.

import { readFileSync } from 'node:fs';

import { quote } from '@rkt/diagnostics/quote';
import { type PodDir, podManifestFile, sharedVolume, stage1ManifestFile } from '@rkt/pod-layout/pod-paths';
import type { Annotation } from '@rkt/spec/annotations';

import { PodError } from './errors.ts';
import { readAppImageManifestText } from './record.ts';

/** What listings show of a pod manifest. */
export interface PodSummary {
  readonly apps: readonly AppSummary[];
  /** Whether ports of the host lead to the pod. */
  readonly forwardsPorts: boolean;
  readonly annotations: readonly Annotation[];
  readonly userAnnotations: Readonly<Record<string, string>>;
  readonly userLabels: Readonly<Record<string, string>>;
}

export interface AppSummary {
  readonly name: string;
  readonly imageId: string;
  /** `name` or `name:version`; undefined when neither the pod nor its copy of the image manifest tells. */
  readonly imageName: string | undefined;
  readonly mounts: readonly MountSummary[];
  readonly annotations: readonly Annotation[];
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
  const volumes = objects(field(manifest, 'volumes'));
  return {
    forwardsPorts: objects(field(manifest, 'ports')).length > 0,
    apps: objects(field(manifest, 'apps')).map((app) => summarizeApp(pod, app, volumes)),
    annotations: annotations(manifest),
    userAnnotations: strings(field(manifest, 'userAnnotations')),
    userLabels: strings(field(manifest, 'userLabels')),
  };
}

const AC_NAME = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/;

/**
 * Annotations of the pod's stage1 image, in the pod's own copy of its manifest: they name its entry points.
 * @throws PodError `bad-manifest` when the manifest is not one.
 */
export function readStage1Annotations(pod: PodDir): Annotation[] {
  const file = stage1ManifestFile(pod);
  const manifest = parseObject(readFileSync(file, 'utf8'), file);
  return annotations(manifest);
}

/** Name and version label of an app's image, in the pod's own copy of its manifest. @throws as reading does */
export function readAppImage(
  pod: PodDir,
  app: string,
): { readonly name: string; readonly version: string | undefined } {
  const manifest = parseObject(readAppImageManifestText(pod, app), `manifest of the image of ${app}`);
  const version = objects(field(manifest, 'labels')).find((label) => field(label, 'name') === 'version');
  return { name: text(field(manifest, 'name')), version: text(field(version ?? {}, 'value')) || undefined };
}

function annotations(owner: JsonObject): Annotation[] {
  return objects(field(owner, 'annotations')).map((entry) => ({
    name: text(field(entry, 'name')),
    value: text(field(entry, 'value')),
  }));
}

type JsonObject = Readonly<Record<string, unknown>>;

function summarizeApp(pod: PodDir, runtimeApp: JsonObject, volumes: readonly JsonObject[]): AppSummary {
  const name = text(field(runtimeApp, 'name'));
  // It becomes part of paths.
  if (!AC_NAME.test(name)) throw new PodError('bad-manifest', `${quote(name)} is no name for an app`);
  const image = object(field(runtimeApp, 'image'));
  const app = object(field(runtimeApp, 'app'));
  return {
    name,
    imageId: text(field(image, 'id')),
    imageName:
      imageName(text(field(image, 'name')), objects(field(image, 'labels'))) ?? imageNameFromCopy(pod, name),
    mounts: objects(field(runtimeApp, 'mounts')).map((mount) => summarizeMount(pod, mount, volumes)),
    annotations: annotations(runtimeApp),
    userAnnotations: strings(field(app, 'userAnnotations')),
    userLabels: strings(field(app, 'userLabels')),
  };
}

function summarizeMount(pod: PodDir, mount: JsonObject, volumes: readonly JsonObject[]): MountSummary {
  const volume = text(field(mount, 'volume'));
  const own = object(field(mount, 'appVolume'));
  const found =
    text(field(own, 'name')) === '' ? (volumes.find((entry) => field(entry, 'name') === volume) ?? {}) : own;
  const source =
    field(found, 'kind') === 'empty'
      ? sharedVolume(pod, text(field(found, 'name')))
      : text(field(found, 'source'));
  return {
    volume,
    path: text(field(mount, 'path')),
    source: source || undefined,
    readOnly: field(found, 'readOnly') === true,
  };
}

function imageName(name: string, labels: readonly JsonObject[]): string | undefined {
  if (name === '') return undefined;
  const version = field(labels.find((label) => field(label, 'name') === 'version') ?? {}, 'value');
  return typeof version === 'string' && version !== '' ? `${name}:${version}` : name;
}

// A pod made from --pod-manifest need not name its images; the pod's copies of their manifests do.
function imageNameFromCopy(pod: PodDir, app: string): string | undefined {
  try {
    const manifest = parseObject(readAppImageManifestText(pod, app), app);
    return imageName(text(field(manifest, 'name')), objects(field(manifest, 'labels')));
  } catch {
    return undefined;
  }
}

// Keys of a manifest given by the user count in any case (contract stage0 10.3).
function field(object: JsonObject, name: string): unknown {
  if (Object.hasOwn(object, name)) return object[name];
  const wanted = name.toLowerCase();
  const key = Object.keys(object).findLast((candidate) => candidate.toLowerCase() === wanted);
  return key === undefined ? undefined : object[key];
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
