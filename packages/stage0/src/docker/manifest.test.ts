// Manifests, configs and platforms (hostile inputs 24, 28, 29, 30, 31, 33).

import assert from 'node:assert/strict';

import { buildOciImage } from '@rkt/testkit/oci-builder';
import fc from 'fast-check';

import { parseImageConfig, withDiffIds } from './image-config.ts';
import { type Descriptor, parseManifest } from './manifest.ts';
import {
  DOCKER_LIST,
  DOCKER_MANIFEST,
  DOCKER_SCHEMA1_SIGNED,
  OCI_INDEX,
  OCI_MANIFEST,
} from './media-types.ts';
import { choosePlatform, hostPlatform } from './platform.ts';

const DIGEST = `sha256:${'0'.repeat(64)}`;
const CONFIG = { mediaType: 'application/vnd.oci.image.config.v1+json', digest: DIGEST, size: 2 };
const LAYER = { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest: DIGEST, size: 3 };
const IMAGE = { schemaVersion: 2, config: CONFIG, layers: [LAYER] };
const INDEX = { schemaVersion: 2, manifests: [{ ...CONFIG, mediaType: OCI_MANIFEST }] };

const bytes = (value: unknown): Buffer =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
const parse = (value: unknown, type?: string): ReturnType<typeof parseManifest> =>
  parseManifest(bytes(value), type, 'manifest');

describe('manifests', () => {
  it('are told by their media type, their field, or their form', () => {
    assert.equal(parse(IMAGE, OCI_MANIFEST).kind, 'manifest');
    assert.equal(parse(IMAGE, `${DOCKER_MANIFEST}; charset=utf-8`).kind, 'manifest');
    assert.equal(parse(IMAGE, 'application/json').kind, 'manifest');
    assert.equal(parse({ ...IMAGE, mediaType: DOCKER_MANIFEST }).kind, 'manifest');
    assert.equal(parse(INDEX, OCI_INDEX).kind, 'index');
    assert.equal(parse(INDEX, 'text/plain').kind, 'index');
    assert.equal(
      parse({ schemaVersion: 1, fsLayers: [], history: [] }, DOCKER_SCHEMA1_SIGNED).kind,
      'schema1',
    );
  });

  const ambiguous: readonly (readonly [value: object, type?: string])[] = [
    [{ ...IMAGE, ...INDEX }],
    [{ ...IMAGE, manifests: [] }, OCI_MANIFEST],
    [{ ...INDEX, layers: [] }, OCI_INDEX],
    [{ ...INDEX, config: CONFIG }, OCI_INDEX],
    [IMAGE, OCI_INDEX],
    [INDEX, DOCKER_MANIFEST],
    [{ ...IMAGE, mediaType: DOCKER_LIST }],
    [{ ...IMAGE, mediaType: DOCKER_LIST }, OCI_MANIFEST],
    [{ ...IMAGE, fsLayers: [] }],
    [{ ...IMAGE, schemaVersion: 1 }],
    [{ ...IMAGE, schemaVersion: 1 }, DOCKER_SCHEMA1_SIGNED],
    [{ ...IMAGE, Manifests: [] }, OCI_MANIFEST],
  ];
  for (const [value, type] of ambiguous.slice(0, -1)) {
    it(`that could be two things are refused: ${Object.keys(value).join()} as ${type ?? 'anything'}`, () =>
      assert.throws(() => parse(value, type), { code: 'bad-image', message: /^manifest is ambiguous/ }));
  }
  it('with a key in two letter cases are refused', () => {
    assert.throws(() => parse({ ...IMAGE, Layers: [] }), /key Layers in two letter cases/);
    assert.throws(() => parse({ ...IMAGE, layers: [{ ...LAYER, Digest: DIGEST }] }), /two letter cases/);
  });

  const wrong: Record<string, unknown> = {
    'not JSON': '{',
    'not an object': '[]',
    'with a byte order mark': '\ufeff{}',
    empty: {},
    'of an unknown type': { ...IMAGE, mediaType: 'text/html' },
    'of an unknown version': { ...IMAGE, schemaVersion: 3 },
    'with a bad digest': { ...IMAGE, config: { ...CONFIG, digest: 'sha256:../../x' } },
    'with a digest in capitals': { ...IMAGE, layers: [{ ...LAYER, digest: `sha256:${'A'.repeat(64)}` }] },
    'with a negative size': { ...IMAGE, layers: [{ ...LAYER, size: -1 }] },
    'with a size beyond numbers': { ...IMAGE, layers: [{ ...LAYER, size: 1e300 }] },
    'without a size': { ...IMAGE, layers: [{ ...LAYER, size: undefined }] },
    'with a layer that is none': { ...IMAGE, layers: [{ ...LAYER, mediaType: 'application/x-helm' }] },
    'with too many layers': { ...IMAGE, layers: Array.from({ length: 1001 }, () => LAYER) },
    'with a list for a text': { ...IMAGE, mediaType: [OCI_MANIFEST] },
    'nested too deep': `{"config":${'['.repeat(100_000)}${']'.repeat(100_000)}}`,
  };
  for (const [name, value] of Object.entries(wrong)) {
    it(`${name} are refused`, () => assert.throws(() => parse(value), { code: 'bad-image' }));
  }

  it('have foreign layers like others, and their urls are not even read', () => {
    const mediaType = 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip';
    const manifest = parse({
      ...IMAGE,
      layers: [{ ...LAYER, mediaType, urls: ['http://169.254.169.254/'] }],
    });
    assert.deepEqual(manifest.kind === 'manifest' && manifest.layers, [
      { digest: DIGEST, mediaType, sizeBytes: 3, compression: 'gzip' },
    ]);
  });

  it('of any content are read or refused, and change no prototype', () => {
    const key = fc.constantFrom(
      'config',
      'layers',
      'manifests',
      'mediaType',
      'schemaVersion',
      'digest',
      'size',
      '__proto__',
    );
    const json = fc.letrec((tie) => ({
      value: fc.oneof(
        fc.constantFrom(null, '', OCI_INDEX, OCI_MANIFEST, DIGEST, 0, 1, 2, -1, true),
        fc.array(tie('value'), { maxLength: 3 }),
        fc.dictionary(key, tie('value'), { maxKeys: 4 }),
      ),
    })).value;
    fc.assert(
      fc.property(json, (value) => {
        try {
          parse(value);
        } catch (error) {
          assert.equal((error as { code?: unknown }).code, 'bad-image', String((error as Error).stack));
        }
        assert.equal(Object.keys(Object.prototype).length, 0);
      }),
    );
  });
});

describe('image configs', () => {
  const ROOTFS = { type: 'layers', diff_ids: [DIGEST] };
  it('are read in full', () => {
    const config = parseImageConfig(
      bytes({
        os: 'linux',
        architecture: 'arm64',
        variant: 'v8',
        author: 'me',
        created: '2017-01-02T03:04:05Z',
        config: {
          User: '1000:50',
          Env: ['PATH=/bin', 'X'],
          Entrypoint: ['/entry'],
          Cmd: ['run'],
          ExposedPorts: { '53/udp': {}, '80/tcp': {} },
          Volumes: { '/data': {} },
          WorkingDir: '/w',
          Labels: { a: 'b', A: 'c', 'coreos.com/rkt/stage1/run': '/evil' },
          StopSignal: 'SIGINT',
        },
        rootfs: ROOTFS,
        history: [{ created_by: 'x', empty_layer: true }, { comment: 'c' }],
      }),
      'config',
    );
    assert.deepEqual(config, {
      os: 'linux',
      architecture: 'arm64',
      variant: 'v8',
      author: 'me',
      created: '2017-01-02T03:04:05Z',
      config: {
        user: '1000:50',
        env: ['PATH=/bin', 'X'],
        entrypoint: ['/entry'],
        cmd: ['run'],
        exposedPorts: ['53/udp', '80/tcp'],
        volumes: ['/data'],
        workingDir: '/w',
        labels: new Map([
          ['a', 'b'],
          ['A', 'c'],
          ['coreos.com/rkt/stage1/run', '/evil'],
        ]),
        stopSignal: 'SIGINT',
      },
      rootfs: { diffIds: [DIGEST] },
      history: [
        { createdBy: 'x', emptyLayer: true },
        { comment: 'c', emptyLayer: false },
      ],
    });
  });
  it('need little', () => {
    const config = parseImageConfig(bytes({ rootfs: ROOTFS, config: null }), 'config');
    assert.equal(config.config, undefined);
    assert.equal(config.os, '');
    const empty = parseImageConfig(bytes({ rootfs: ROOTFS, config: { Cmd: null, Volumes: null } }), 'config');
    assert.deepEqual(empty.config?.cmd, []);
    assert.deepEqual(empty.config?.volumes, []);
  });
  for (const [name, value] of Object.entries({
    'without rootfs': {},
    'of another type': { rootfs: { type: 'x', diff_ids: [] } },
    'with a bad diff ID': { rootfs: { type: 'layers', diff_ids: ['sha256:x'] } },
    'with a text for a list': { rootfs: ROOTFS, config: { Cmd: '/bin/sh' } },
    'with a number in Env': { rootfs: ROOTFS, config: { Env: [1] } },
  })) {
    it(`${name} are refused`, () =>
      assert.throws(() => parseImageConfig(bytes(value), 'config'), { code: 'bad-image' }));
  }
  it('must have as many diff IDs as there are layers', () => {
    const config = parseImageConfig(buildOciImage().config.bytes, 'config');
    assert.throws(() => withDiffIds([], config, 'manifest'), /0 layers, but the config has 1 diff_ids/);
  });
});

describe('platforms', () => {
  const entry = (text?: string): Descriptor => {
    const [os = '', architecture = '', variant] = (text ?? '').split('/');
    const platform = { os, architecture, ...(variant !== undefined && { variant }) };
    return {
      mediaType: OCI_MANIFEST,
      digest: { algorithm: 'sha256', hex: '', text: text ?? 'none' },
      sizeBytes: 1,
      annotations: new Map(),
      ...(text !== undefined && { platform }),
    };
  };
  const choose = (names: readonly (string | undefined)[], architecture: string, variant?: string): string =>
    choosePlatform(
      names.map(entry),
      { os: 'linux', architecture, ...(variant !== undefined && { variant }) },
      'image',
    ).digest.text;

  it('are chosen by the best variant that runs here', () => {
    const arms = ['linux/arm/v5', 'linux/arm/v7', 'linux/arm/v6', 'linux/arm'];
    assert.equal(choose(arms, 'arm', 'v8'), 'linux/arm/v7');
    assert.equal(choose(arms, 'arm', 'v6'), 'linux/arm/v6');
    assert.equal(choose(arms, 'arm', 'v4'), 'linux/arm');
    assert.equal(choose(['linux/amd64/v3', 'linux/amd64'], 'amd64'), 'linux/amd64');
    assert.equal(choose(['linux/arm64/v8', 'linux/arm64'], 'arm64'), 'linux/arm64/v8');
    assert.equal(choose(['linux/arm64/v9', 'linux/arm64'], 'arm64'), 'linux/arm64');
    assert.equal(choose([undefined], 'amd64'), 'none');
  });
  it('that are missing are listed, not all of ten thousand', () => {
    const names = Array.from({ length: 10_000 }, (_, at) => `linux/arch${at}`);
    assert.throws(
      () => choose(names, 'amd64'),
      /^RktError: image has no image for linux\/amd64: available are linux\/arch0, .*linux\/arch19 and 9980 more$/,
    );
    assert.throws(
      () => choose(['linux/amd64/v3', 'linux/amd64/x\u001b'], 'amd64'),
      /amd64\/v3, linux\/amd64\/x\\x1b$/,
    );
    assert.throws(() => choose([undefined, undefined], 'amd64'), /it names no platform$/);
    assert.throws(() => choose(['unknown/unknown'], 'amd64'), { code: 'no-platform' });
  });
  it('of this machine have the names of Go', () => {
    assert.deepEqual(hostPlatform('x64'), { os: 'linux', architecture: 'amd64' });
    assert.deepEqual(hostPlatform('ia32'), { os: 'linux', architecture: '386' });
    assert.deepEqual(hostPlatform('arm64'), { os: 'linux', architecture: 'arm64' });
    assert.deepEqual(hostPlatform('arm', '7'), { os: 'linux', architecture: 'arm', variant: 'v7' });
    assert.deepEqual(hostPlatform('s390x'), { os: 'linux', architecture: 's390x' });
  });
});
