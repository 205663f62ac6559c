// What is written is what was meant: decode(encode(x)) = x for every part of both manifests.

import assert from 'node:assert/strict';

import fc from 'fast-check';
import type { Arbitrary } from 'fast-check';

import { App } from './app.ts';
import { decodeOrThrow } from './codec.ts';
import type { Codec } from './codec.ts';
import { ImageManifest, parseImageManifest, serializeImageManifest } from './image-manifest.ts';
import { Labels } from './labels.ts';
import { parsePodManifest, PodManifest, serializePodManifest } from './pod-manifest.ts';

const few = { maxLength: 3 } as const;
const unicode = fc.string({ unit: 'grapheme', maxLength: 8 });
const systemText = unicode.filter((text) => !text.includes('\0'));
const path = systemText.map((text) => `/${text}`);
const acName = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,6}[a-z0-9])?$/);
const acIdentifier = fc.stringMatching(/^[a-z0-9]([a-z0-9._~/-]{0,8}[a-z0-9])?$/);
const acVersion = fc.constantFrom('0.8.11', '2.0.0', '1.30.0+git');
const hash = fc.stringMatching(/^sha512-[0-9a-f]{1,8}$/);
const gid = fc.nat(65535);
const map = fc.dictionary(unicode, unicode, { minKeys: 1, maxKeys: 3, noNullPrototype: true });

/** A list that is not empty and has no two items of one name. */
const named = <T extends { name: string }>(item: Arbitrary<T>): Arbitrary<T[]> =>
  fc.uniqueArray(item, { selector: ({ name }) => name, minLength: 1, maxLength: 3 });
const someOf = <T>(item: Arbitrary<T>): Arbitrary<T[]> => fc.array(item, { minLength: 1, maxLength: 3 });
/** A record whose `keys` are always there, the others sometimes. */
const record = <T extends object>(
  shape: { [K in keyof T]: Arbitrary<T[K]> },
  ...keys: (keyof T)[]
): Arbitrary<T> => fc.record(shape, { requiredKeys: keys as never[], noNullPrototype: true }) as Arbitrary<T>;

const labels = named(
  fc.record(
    { name: acIdentifier.filter((n) => !/^(?:name|os|arch)$/.test(n)), value: unicode },
    { noNullPrototype: true },
  ),
);
const platform = fc
  .constantFrom(['linux', 'amd64'], ['darwin', 'x86_64'], ['freebsd', 'arm'])
  .map(([os = '', arch = '']) => [
    { name: 'os', value: os },
    { name: 'arch', value: arch },
  ]);
const fullLabels = fc.oneof(
  labels,
  fc.tuple(labels, platform).map(([a, b]) => [...a, ...b]),
  platform,
);
const annotations = named(
  fc.record(
    { name: acIdentifier.filter((n) => !/^(?:created|homepage|documentation)$/.test(n)), value: unicode },
    { noNullPrototype: true },
  ),
);
const environment = named(
  fc.record(
    { name: fc.stringMatching(/^[A-Za-z_][A-Za-z_0-9.-]{0,5}$/), value: systemText },
    { noNullPrototype: true },
  ),
);
const exec = fc.array(systemText, few);
const readOnly = fc.constant(true);

const port = record(
  {
    name: acName,
    protocol: fc.constantFrom('tcp', 'udp'),
    port: fc.integer({ min: 1, max: 65530 }),
    count: fc.integer({ min: 1, max: 5 }),
    socketActivated: fc.boolean(),
  },
  'name',
  'protocol',
  'port',
  'count',
  'socketActivated',
);
const isolator = fc.constantFrom(
  { name: 'resource/memory', value: { limit: '64Mi' } },
  { name: 'resource/cpu', value: { default: false, request: '250m', limit: '1' } },
  { name: 'os/linux/capabilities-retain-set', value: { set: ['CAP_KILL'] } },
  { name: 'os/linux/no-new-privileges', value: true },
);
const user = systemText.filter((text) => text !== '');

const app: Arbitrary<App> = record<App>(
  {
    exec,
    eventHandlers: named(
      fc.record(
        { name: fc.constantFrom('pre-start' as const, 'post-stop' as const), exec },
        { noNullPrototype: true },
      ),
    ),
    user,
    group: user,
    supplementaryGIDs: someOf(gid),
    workingDirectory: path,
    environment,
    mountPoints: someOf(record({ name: acName, path, readOnly }, 'name', 'path')),
    ports: someOf(port),
    isolators: someOf(isolator),
    userAnnotations: map,
    userLabels: map,
  } as never,
  'exec',
  'user',
  'group',
);

const volume = fc.oneof(
  record(
    {
      name: acName,
      kind: fc.constant('host'),
      source: path,
      readOnly: fc.boolean(),
      recursive: fc.boolean(),
    },
    'name',
    'kind',
    'source',
  ),
  record(
    {
      name: acName,
      kind: fc.constant('empty'),
      readOnly: fc.boolean(),
      mode: fc.constant('0700'),
      uid: gid,
      gid,
    },
    'name',
    'kind',
    'mode',
    'uid',
    'gid',
  ),
);

const imageManifest: Arbitrary<ImageManifest> = record<ImageManifest>(
  {
    acKind: fc.constant('ImageManifest'),
    acVersion,
    name: acIdentifier,
    labels: fullLabels,
    app,
    annotations,
    dependencies: someOf(
      record(
        { imageName: acIdentifier, imageID: hash, labels: fullLabels, size: fc.integer({ min: 1 }) },
        'imageName',
      ),
    ),
    pathWhitelist: someOf(path),
  } as never,
  'acKind',
  'acVersion',
  'name',
);

const podManifest: Arbitrary<PodManifest> = record<PodManifest>(
  {
    acVersion,
    acKind: fc.constant('PodManifest'),
    apps: fc.uniqueArray(
      record(
        {
          name: acName,
          image: record({ name: acIdentifier, id: hash, labels: fullLabels }, 'id'),
          app,
          readOnlyRootFS: readOnly,
          mounts: someOf(record({ volume: acName, path: systemText, appVolume: volume }, 'volume', 'path')),
          annotations,
        },
        'name',
        'image',
      ),
      { selector: ({ name }) => name, maxLength: 3 },
    ),
    volumes: fc.uniqueArray(volume, { selector: ({ name }) => name, maxLength: 3 }),
    isolators: fc.array(isolator, few),
    annotations,
    ports: fc.array(
      record(
        { name: acName, hostPort: fc.nat(65535), hostIP: fc.oneof(fc.ipV4(), fc.ipV6()), podPort: port },
        'name',
        'hostPort',
      ),
      few,
    ),
    userAnnotations: map,
    userLabels: map,
  } as never,
  'acVersion',
  'acKind',
  'apps',
);

function holds<T>(codec: Codec<T>, values: Arbitrary<T>): void {
  fc.assert(
    fc.property(values, (value) => {
      assert.equal(codec.is(value), true);
      assert.deepEqual(decodeOrThrow(codec, JSON.parse(JSON.stringify(value)), ''), value);
    }),
  );
}

describe('round trips', () => {
  it('labels', () => holds(Labels, fullLabels));
  it('apps', () => holds(App, app));
  it('image manifests, as values and as text', () => {
    holds(ImageManifest, imageManifest);
    fc.assert(
      fc.property(imageManifest, fc.constantFrom(undefined, '\t' as const), (manifest, indent) => {
        const text = serializeImageManifest(manifest, indent);
        assert.deepEqual(parseImageManifest(text), manifest);
        assert.equal(serializeImageManifest(parseImageManifest(text), indent), text);
      }),
    );
  });
  it('pod manifests, as values and as text', () => {
    holds(PodManifest, podManifest);
    fc.assert(
      fc.property(podManifest, (manifest) => {
        const text = serializePodManifest(manifest);
        assert.deepEqual(parsePodManifest(text), manifest);
        assert.equal(serializePodManifest(parsePodManifest(text)), text);
      }),
    );
  });
});
