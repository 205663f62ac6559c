// Reads a pod without the codecs of @rkt/spec, which take longer to load than fly takes for all its work. stage0 has
// judged every manifest already (contract 1.10): here only the form of what stage1 uses is checked, and whatever is
// written otherwise than stage0 writes it (a key in another case, an unknown key) is left to the codecs.
// Runs in the run entry point, on the host.

import type { ImageManifest } from '@rkt/spec/image-manifest';
import type { PodManifest } from '@rkt/spec/pod-manifest';

import { readPod } from './pod.ts';
import type { LoadedPod } from './pod.ts';

/** As loadPod of load-pod.ts, which it falls back to. @throws as loadPod */
export async function loadPodQuickly(directory: string): Promise<LoadedPod> {
  try {
    return readPod(directory, { parsePodManifest: quickPodManifest, parseImageManifest: quickImageManifest });
  } catch {
    // Slow is better than a wrong reading or a message other than the codecs' own.
    const { loadPod } = await import('./load-pod.ts');
    return loadPod(directory);
  }
}

/** The pod manifest in `text`, when it is written as stage0 writes it. @throws Error for any other text */
export function quickPodManifest(text: string): PodManifest {
  return POD_MANIFEST(JSON.parse(text)) as PodManifest;
}

/** The image manifest in `text`, when it is written as stage0 writes it. @throws Error for any other text */
export function quickImageManifest(text: string): ImageManifest {
  return IMAGE_MANIFEST(JSON.parse(text)) as ImageManifest;
}

// Returns its argument, without keys that are null, or throws.
type Check = (value: unknown) => unknown;

const fail = (): never => {
  throw new Error('not as stage0 writes it');
};
const when =
  (accepts: (value: unknown) => boolean): Check =>
  (value) =>
    accepts(value) ? value : fail();

const text = when((value) => typeof value === 'string' && !value.includes('\0'));
const flag = when((value) => typeof value === 'boolean');
const id = when(
  (value) => Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 0xffff_fffe,
);
const acName = when((value) => typeof value === 'string' && /^[a-z0-9]+(-[a-z0-9]+)*$/.test(value));
const absolutePath = when(
  (value) => typeof value === 'string' && value.startsWith('/') && !value.includes('\0'),
);
const unused: Check = (value) => value;

const list =
  (item: Check): Check =>
  (value) =>
    Array.isArray(value) ? value.map(item) : fail();

// All keys are known and those in `required` are there.
function object(fields: Readonly<Record<string, Check>>, required: readonly string[]): Check {
  return (value) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return fail();
    const checked: Record<string, unknown> = {};
    for (const [key, field] of Object.entries(value)) {
      const check = Object.hasOwn(fields, key) ? fields[key] : undefined;
      if (check === undefined) return fail();
      if (field !== null) checked[key] = check(field);
    }
    return required.every((key) => Object.hasOwn(checked, key)) ? checked : fail();
  };
}

const ANNOTATIONS = list(object({ name: text, value: text }, ['name', 'value']));

const VOLUME = object(
  {
    name: acName,
    kind: when((value) => value === 'host' || value === 'empty'),
    source: absolutePath,
    readOnly: flag,
    recursive: flag,
    mode: text,
    uid: id,
    gid: id,
  },
  ['name', 'kind'],
);

const APP = object(
  {
    exec: list(text),
    eventHandlers: list(object({ name: text, exec: list(text) }, ['name', 'exec'])),
    user: text,
    group: text,
    supplementaryGIDs: list(id),
    workingDirectory: absolutePath,
    environment: list(object({ name: text, value: text }, ['name', 'value'])),
    mountPoints: list(object({ name: acName, path: text, readOnly: flag }, ['name', 'path'])),
    ports: unused,
    isolators: list(object({ name: text, value: unused }, ['name'])),
    userAnnotations: unused,
    userLabels: unused,
  },
  ['exec', 'user', 'group'],
);

const RUNTIME_APP = object(
  {
    name: acName,
    image: object({ name: text, id: text, labels: unused }, ['id']),
    app: APP,
    readOnlyRootFS: flag,
    mounts: list(object({ volume: acName, path: text, appVolume: VOLUME }, ['volume', 'path'])),
    annotations: ANNOTATIONS,
  },
  ['name', 'image'],
);

const POD_MANIFEST = object(
  {
    acVersion: text,
    acKind: when((value) => value === 'PodManifest'),
    apps: list(RUNTIME_APP),
    volumes: list(VOLUME),
    isolators: unused,
    annotations: ANNOTATIONS,
    ports: unused,
    userAnnotations: unused,
    userLabels: unused,
  },
  ['acVersion', 'acKind', 'apps'],
);

const IMAGE_MANIFEST = object(
  {
    acKind: when((value) => value === 'ImageManifest'),
    acVersion: text,
    name: text,
    labels: unused,
    app: APP,
    annotations: ANNOTATIONS,
    dependencies: unused,
    pathWhitelist: unused,
  },
  ['acKind', 'acVersion', 'name'],
);
