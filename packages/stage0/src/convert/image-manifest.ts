// What an image of the docker and OCI world says about itself, in the words of an image manifest (contract stage0 5.4).
// Pure; runs in stage0.
//
// Nothing of such an image becomes an annotation under a name it chose itself, so no label can speak to us. An image that
// was pushed as a stage1 says so in its manifest, and its entry points are labels; they are read only where the user
// names the image as the stage1 of a pod.

import { posix } from 'node:path';

import { sanitizeAcIdentifier } from '@rkt/spec/ac-identifier';
import { sanitizeAcName } from '@rkt/spec/ac-name';
import type { Annotation } from '@rkt/spec/annotations';
import type { App } from '@rkt/spec/app';
import { APPC_VERSION } from '@rkt/spec/appc-version';
import { parseDate } from '@rkt/spec/date';
import type { EnvironmentVariable } from '@rkt/spec/environment';
import type { ImageManifest } from '@rkt/spec/image-manifest';
import { checkOsArch, hostArch, hostOs, type Label } from '@rkt/spec/labels';
import type { MountPoint } from '@rkt/spec/mount-point';
import type { Port } from '@rkt/spec/port';
import { STAGE1_PREFIX } from '@rkt/pod-layout/entrypoints';
import { quote } from '@rkt/diagnostics/quote';

import { refuse } from '../docker/errors.ts';
import type { LegacyImage, OciConfig, OciImage, OciRunConfig } from '../docker/oci-image.ts';

/** What conversion needs to know of an image besides its layers. */
export type DescribedImage = Pick<
  OciImage,
  'reference' | 'manifestDigest' | 'config' | 'layers' | 'legacy' | 'isStage1'
>;

const PREFIX = 'appc.io/docker/';

/** @throws SpecError, DockerError `bad-image` */
export function convertedManifest(image: DescribedImage): ImageManifest {
  const { reference, config, legacy } = image;
  const run = config.config;
  return {
    acKind: 'ImageManifest',
    acVersion: APPC_VERSION,
    name: sanitizeAcIdentifier(`${reference.index}/${reference.repository}`),
    labels: [...platformLabels(config, legacy), ...present([['version', reference.tag]])],
    ...(run !== undefined && { app: convertedApp(run, legacy) }),
    annotations: annotations(image),
  };
}

// Sorted by name: arch, os, version.
function platformLabels({ os, architecture, variant }: OciConfig, legacy: LegacyImage | undefined): Label[] {
  const arch = hostArch(architecture, variant?.replace(/^v/, ''));
  const labels = present([
    ['arch', arch],
    ['os', os],
  ]);
  if (labels.length === 2 && isKnown(labels)) return labels;
  if (legacy !== undefined) return isKnown(labels) ? labels : [];
  return [
    { name: 'arch', value: hostArch() },
    { name: 'os', value: hostOs() },
  ];
}

function isKnown(labels: readonly Label[]): boolean {
  try {
    checkOsArch(labels, 'appc');
    return true;
  } catch {
    return false;
  }
}

function annotations(image: DescribedImage): Annotation[] {
  const { reference, manifestDigest, config, layers, legacy, isStage1 = false } = image;
  const { entrypoint = [], cmd = [] } = config.config ?? {};
  const list = (words: readonly string[]): string => (words.length === 0 ? '' : JSON.stringify(words));
  return present([
    [legacy === undefined ? 'author' : 'authors', config.author],
    ['created', created(config.created, legacy)],
    ['docker-comment', legacy?.comment],
    [`${PREFIX}originalname`, reference.text],
    [`${PREFIX}registryurl`, reference.index],
    [`${PREFIX}repository`, reference.repository],
    [`${PREFIX}imageid`, legacy?.id ?? layers.at(-1)?.digest],
    [`${PREFIX}parentimageid`, legacy?.parent],
    [`${PREFIX}tag`, legacy?.parent === undefined ? undefined : reference.tag],
    [`${PREFIX}manifesthash`, legacy?.schema === 'v1' ? legacy.id : manifestDigest],
    [`${PREFIX}entrypoint`, list(entrypoint)],
    [`${PREFIX}cmd`, list(cmd)],
    ...(isStage1 ? stage1Labels(config.config) : []),
  ]);
}

// Entry points and interface version (docs/decisions/0055).
function stage1Labels(run: OciRunConfig | undefined): (readonly [string, string])[] {
  const labels = [...(run?.labels ?? [])].filter(([name]) => name.startsWith(STAGE1_PREFIX));
  return labels.sort(([a], [b]) => (a < b ? -1 : 1));
}

// Empty values make neither labels nor annotations.
function present(
  pairs: readonly (readonly [string, string | undefined])[],
): { name: string; value: string }[] {
  return pairs.flatMap(([name, value]) => (value === undefined || value === '' ? [] : [{ name, value }]));
}

// To the second, as Go's RFC 3339 prints it. Schema 1 says "the epoch" for "unknown".
function created(text: string | undefined, legacy: LegacyImage | undefined): string | undefined {
  if (text === undefined) return undefined;
  try {
    if (legacy !== undefined && parseDate(text).getTime() === 0) return undefined;
    parseDate(text);
  } catch {
    return undefined;
  }
  return text.replace(/\.\d+/, '');
}

function convertedApp(run: OciRunConfig, legacy: LegacyImage | undefined): App {
  const environment = convertedEnvironment(run.env);
  const mountPoints = convertedVolumes(run.volumes);
  const ports = convertedPorts(run.exposedPorts);
  return {
    exec: [...run.entrypoint, ...run.cmd],
    ...convertedUser(run.user),
    ...(run.workingDir !== '' && { workingDirectory: posix.resolve('/', run.workingDir) }),
    ...(environment.length > 0 && { environment }),
    ...(mountPoints.length > 0 && { mountPoints }),
    ...(ports.length > 0 && { ports }),
    ...(legacy !== undefined && run.labels.size > 0 && { userLabels: Object.fromEntries(run.labels) }),
  };
}

function convertedUser(text: string): { user: string; group: string } {
  const colon = text.indexOf(':');
  const user = (colon === -1 ? text : text.slice(0, colon)) || '0';
  const group = colon === -1 ? '' : text.slice(colon + 1);
  return { user, group: group || user };
}

function convertedEnvironment(env: readonly string[]): EnvironmentVariable[] {
  const values = new Map<string, string>();
  for (const variable of env) {
    const equals = variable.indexOf('=');
    if (equals !== -1) values.set(variable.slice(0, equals), variable.slice(equals + 1));
  }
  return [...values].map(([name, value]) => ({ name, value }));
}

function convertedVolumes(paths: readonly string[]): MountPoint[] {
  const uses = new Map<string, number>();
  return [...new Set(paths)]
    .sort()
    .map((path) => {
      const base = sanitizeAcName(posix.join('volume', path));
      const count = uses.get(base) ?? 0;
      uses.set(base, count + 1);
      return { name: count === 0 ? base : `${base}-${count}`, path };
    })
    .sort(byName);
}

function convertedPorts(texts: readonly string[]): Port[] {
  return texts
    .map((text) => {
      const [number = '', protocol = 'tcp', ...rest] = text.split('/');
      const port = /^\d{1,5}$/.test(number) && rest.length === 0 ? Number(number) : 0;
      if (port < 1 || port > 65535)
        refuse('bad-image', `bad exposed port ${quote(text)} in the image config`);
      return {
        name: sanitizeAcName(text),
        protocol: protocol || 'tcp',
        port,
        count: 1,
        socketActivated: false,
      };
    })
    .sort(byName);
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  if (a.name === b.name) return 0;
  return a.name < b.name ? -1 : 1;
}
