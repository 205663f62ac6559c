// The pod manifest: what is to run together (contract stage0 3.4, 8.4). Pure; runs in every process.

import { quote } from '@rkt/diagnostics/quote';

import { AcIdentifier } from './ac-identifier.ts';
import { acKind, missingKind } from './ac-kind.ts';
import { AcName } from './ac-name.ts';
import { Annotations } from './annotations.ts';
import type { Annotation } from './annotations.ts';
import { App } from './app.ts';
import {
  decodeOrThrow,
  defaulted,
  flag,
  given,
  list,
  nullable,
  optional,
  required,
  stringMap,
  struct,
  uniqueList,
} from './codec.ts';
import type { Codec } from './codec.ts';
import { parseGoJson, stringifyGoJson } from './go-json.ts';
import { ImageId } from './image-id-codec.ts';
import { PodIsolators } from './isolator.ts';
import type { Isolator } from './isolator.ts';
import { Labels } from './labels.ts';
import type { Label } from './labels.ts';
import { Mount } from './mount.ts';
import { ExposedPort } from './port.ts';
import { SemVer } from './semver.ts';
import { Volume } from './volume.ts';

/** The image of an app. */
export interface RuntimeImage {
  readonly name?: AcIdentifier;
  /** Hash of the image; empty when a given manifest has none. */
  readonly id: string;
  readonly labels?: readonly Label[];
}

/** One app of a pod. */
export interface RuntimeApp {
  readonly name: AcName;
  readonly image: RuntimeImage;
  /** Takes the place of the image's app section. */
  readonly app?: App;
  readonly readOnlyRootFS?: boolean;
  readonly mounts?: readonly Mount[];
  readonly annotations?: readonly Annotation[];
}

/** Lists that are absent are written as null, empty ones as []. */
export interface PodManifest {
  readonly acVersion: SemVer;
  readonly acKind: 'PodManifest';
  readonly apps: readonly RuntimeApp[];
  readonly volumes?: readonly Volume[];
  readonly isolators?: readonly Isolator[];
  readonly annotations?: readonly Annotation[];
  readonly ports?: readonly ExposedPort[];
  readonly userAnnotations?: Readonly<Record<string, string>>;
  readonly userLabels?: Readonly<Record<string, string>>;
}

const RuntimeImage = struct<RuntimeImage>('RuntimeImage', {
  name: optional(AcIdentifier),
  id: defaulted(ImageId, ''),
  labels: optional(Labels),
});

export const RuntimeApp: Codec<RuntimeApp> = struct<RuntimeApp>('RuntimeApp', {
  name: required(AcName, 'app name must be set'),
  image: required(RuntimeImage, 'app image must be set'),
  app: given(App),
  readOnlyRootFS: optional(flag),
  mounts: optional(list(Mount)),
  annotations: optional(Annotations),
});

const Apps = uniqueList(
  RuntimeApp,
  ({ name }) => name,
  (name) => `duplicate apps of name ${quote(name)}`,
);

const Volumes = uniqueList(
  Volume,
  ({ name }) => name,
  (name) => `duplicate volume name ${quote(name)}`,
);

export const PodManifest: Codec<PodManifest> = struct<PodManifest>('PodManifest', {
  acVersion: required(SemVer, 'acVersion must be set'),
  acKind: required(acKind('PodManifest'), missingKind('PodManifest')),
  apps: defaulted(Apps, []),
  volumes: nullable(Volumes),
  isolators: nullable(PodIsolators),
  annotations: nullable(Annotations),
  ports: nullable(list(ExposedPort)),
  userAnnotations: optional(stringMap),
  userLabels: optional(stringMap),
});

/**
 * The pod manifest of a JSON text.
 *
 * @param where What is being read, for messages.
 * @throws SpecError `bad-json` with line and column, `bad-manifest` with the path and the first complaint.
 */
export function parsePodManifest(text: string, where = 'pod manifest'): PodManifest {
  return decodeOrThrow(PodManifest, parseGoJson(text, where), where);
}

/**
 * The JSON text of `manifest`, compact or with one tab per level.
 *
 * @throws SpecError when it breaks a rule.
 */
export function serializePodManifest(manifest: PodManifest, indent?: '\t'): string {
  const text = stringifyGoJson(PodManifest.encode(manifest), { indent });
  parsePodManifest(text);
  return text;
}
