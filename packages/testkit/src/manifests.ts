// Image manifests for tests, as plain JSON, so that wrong ones can be made as well. Runs in the test process.

import { arch } from 'node:os';

/** A JSON object. */
export type ManifestJson = Readonly<Record<string, unknown>>;

/** The parts of an image manifest tests vary. */
export interface ManifestOptions {
  readonly name?: string;
  /** Becomes the label `version`; none when empty. */
  readonly version?: string;
  /** Labels besides version, os and arch; one of those names replaces the default. */
  readonly labels?: Readonly<Record<string, string | undefined>>;
  /** Program and arguments; without it and without `app` the image has no app section. */
  readonly exec?: readonly string[];
  /** Further fields of the app section. */
  readonly app?: ManifestJson;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly dependencies?: readonly ManifestJson[];
  readonly pathWhitelist?: readonly string[];
  /** Fields that replace or extend the manifest as it is. */
  readonly extra?: ManifestJson;
}

/** The name appc has for the processor this runs on. */
export function imageArch(): string {
  const names: Readonly<Record<string, string>> = { x64: 'amd64', ia32: 'i386', arm64: 'aarch64' };
  return names[arch()] ?? arch();
}

/** A manifest that is valid unless options make it otherwise. */
export function imageManifest({
  name = 'example.com/test',
  version = '1.0.0',
  labels = {},
  exec,
  app,
  annotations,
  dependencies,
  pathWhitelist,
  extra,
}: ManifestOptions = {}): ManifestJson {
  const all: Record<string, string | undefined> = { version, os: 'linux', arch: imageArch(), ...labels };
  const present = Object.entries(all).filter(([, value]) => value !== undefined && value !== '');
  return {
    acKind: 'ImageManifest',
    acVersion: '0.8.11',
    name,
    labels: present.map(([label, value]) => ({ name: label, value })),
    ...(exec === undefined && app === undefined ? {} : { app: { exec, user: '0', group: '0', ...app } }),
    ...(annotations === undefined ? {} : { annotations: pairs(annotations) }),
    ...(dependencies === undefined ? {} : { dependencies }),
    ...(pathWhitelist === undefined ? {} : { pathWhitelist }),
    ...extra,
  };
}

function pairs(values: Readonly<Record<string, string>>): ManifestJson[] {
  return Object.entries(values).map(([name, value]) => ({ name, value }));
}
