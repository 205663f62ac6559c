// The image manifest: what an ACI says about itself (contract stage0 3.2). Pure; runs in every process.

import { AcIdentifier } from './ac-identifier.ts';
import { acKind, missingKind } from './ac-kind.ts';
import { Annotations } from './annotations.ts';
import type { Annotation } from './annotations.ts';
import { App } from './app.ts';
import { decodeOrThrow, given, list, optional, refine, required, struct, systemText } from './codec.ts';
import type { Codec } from './codec.ts';
import { Dependency } from './dependency.ts';
import { refuse } from './errors.ts';
import { parseGoJson, stringifyGoJson } from './go-json.ts';
import { Labels } from './labels.ts';
import type { Label } from './labels.ts';
import { SemVer } from './semver.ts';

export interface ImageManifest {
  readonly acKind: 'ImageManifest';
  readonly acVersion: SemVer;
  readonly name: AcIdentifier;
  readonly labels?: readonly Label[];
  readonly app?: App;
  readonly annotations?: readonly Annotation[];
  readonly dependencies?: readonly Dependency[];
  /** Absolute paths of the files the image keeps; all of them when absent. */
  readonly pathWhitelist?: readonly string[];
}

const WhitelistPath = refine(systemText, (path) =>
  path.startsWith('/') ? path : refuse('pathWhitelist must have absolute paths'),
);

export const ImageManifest: Codec<ImageManifest> = struct<ImageManifest>('ImageManifest', {
  acKind: required(acKind('ImageManifest'), missingKind('ImageManifest')),
  acVersion: required(SemVer, 'acVersion must be set'),
  name: required(AcIdentifier, 'name must be set'),
  labels: optional(Labels),
  app: given(App),
  annotations: optional(Annotations),
  dependencies: optional(list(Dependency)),
  pathWhitelist: optional(list(WhitelistPath)),
});

/**
 * The image manifest of a JSON text.
 *
 * @param where What is being read, for messages.
 * @throws SpecError `bad-json` with line and column, `bad-manifest` with the path and the first complaint.
 */
export function parseImageManifest(text: string, where = 'image manifest'): ImageManifest {
  return decodeOrThrow(ImageManifest, parseGoJson(text, where), where);
}

/**
 * The JSON text of `manifest`, compact or with one tab per level.
 *
 * @throws SpecError when it breaks a rule.
 */
export function serializeImageManifest(manifest: ImageManifest, indent?: '\t'): string {
  const text = stringifyGoJson(ImageManifest.encode(manifest), { indent });
  parseImageManifest(text);
  return text;
}
