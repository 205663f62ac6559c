// Manifests of schema 1 (contract stage0 5.3).

import assert from 'node:assert/strict';

import { parseFields } from './json-fields.ts';
import { readSchema1, schema1Payload, type Schema1Image } from './schema1.ts';

const ID = (digit: string): string => digit.repeat(64);
const BLOB = (digit: string): { blobSum: string } => ({ blobSum: `sha256:${digit.repeat(64)}` });
const layer = (value: object): { v1Compatibility: string } => ({ v1Compatibility: JSON.stringify(value) });

const IMAGE = {
  schemaVersion: 1,
  name: 'acme/srv',
  tag: '1',
  architecture: 'amd64',
  fsLayers: [BLOB('c'), BLOB('b'), BLOB('a')],
  history: [
    layer({
      id: ID('3'),
      parent: ID('2'),
      comment: 'hello',
      author: 'me',
      os: 'linux',
      architecture: 'amd64',
      config: { Cmd: ['/a'], PortSpecs: ['80'] },
    }),
    layer({ id: ID('2'), parent: ID('1') }),
    layer({ id: ID('1') }),
  ],
};

describe('schema 1', () => {
  const read = (value: object, request: object = { repository: 'acme/srv', tag: '1' }): Schema1Image =>
    readSchema1(
      parseFields(Buffer.from(JSON.stringify(value)), 'manifest'),
      request as Parameters<typeof readSchema1>[1],
      'manifest',
    );

  it('gives layers from the base up, and the config of the top layer', () => {
    const { layers, config, legacy } = read(IMAGE);
    assert.deepEqual(
      layers.map(({ digest, sizeBytes, compression }) => [digest.slice(-1), sizeBytes, compression]),
      [
        ['a', -1, 'gzip'],
        ['b', -1, 'gzip'],
        ['c', -1, 'gzip'],
      ],
    );
    assert.deepEqual(legacy, { schema: '2.1', id: ID('3'), parent: ID('2'), comment: 'hello' });
    assert.equal(config.author, 'me');
    assert.deepEqual(config.config?.cmd, ['/a']);
    assert.deepEqual(config.config?.exposedPorts, ['80']);
  });

  it('drops layers that follow themselves', () => {
    const [top, ...rest] = IMAGE.history;
    const { layers } = read({
      ...IMAGE,
      fsLayers: [BLOB('c'), BLOB('c'), BLOB('b'), BLOB('a')],
      history: [top, top, ...rest],
    });
    assert.deepEqual(
      layers.map(({ digest }) => digest.slice(-1)),
      ['a', 'b', 'c'],
    );
  });

  const [top, middle, base] = IMAGE.history;
  const wrong: Record<string, readonly [value: object, reason: RegExp]> = {
    'of another name': [{ ...IMAGE, name: 'acme/other' }, /is that of "acme\/other"/],
    'of another tag': [{ ...IMAGE, tag: '2' }, /is that of tag "2"/],
    'with fewer layers than history': [{ ...IMAGE, fsLayers: [BLOB('c')] }, /1 layers, but 3 entries/],
    'without layers': [{ ...IMAGE, fsLayers: [], history: [] }, /no layers/],
    'with a broken chain': [{ ...IMAGE, history: [top, base, middle] }, /parent of layer 3+ is/],
    'with a base that has a parent': [
      { ...IMAGE, history: [top, middle, layer({ id: ID('1'), parent: ID('0') })] },
      /base layer 1+ has the parent "0+"/,
    ],
    'with a bad ID': [{ ...IMAGE, history: [top, middle, layer({ id: '../x' })] }, /bad layer ID "\.\.\/x"/],
    'with a bad digest': [
      { ...IMAGE, fsLayers: [BLOB('c'), BLOB('b'), { blobSum: 'tarsum+x' }] },
      /bad digest/,
    ],
    'with a circle': [
      {
        ...IMAGE,
        fsLayers: [BLOB('a'), BLOB('b'), BLOB('a')],
        history: [layer({ id: ID('1'), parent: ID('2') }), layer({ id: ID('2'), parent: ID('1') }), base],
      },
      /is there twice/,
    ],
    'with a config that is not JSON': [
      { ...IMAGE, history: [top, middle, { v1Compatibility: '{' }] },
      /history\[2\]/,
    ],
  };
  for (const [name, [value, reason]] of Object.entries(wrong)) {
    it(`${name} is refused`, () => assert.throws(() => read(value), { code: 'bad-image', message: reason }));
  }

  it('of a digest may have any tag', () => {
    read({ ...IMAGE, tag: '2' }, { repository: 'acme/srv', digest: 'sha256:x' });
  });

  it('is signed without what signs it', () => {
    const payload = JSON.stringify(IMAGE, null, 3);
    const length = payload.length - 2;
    const header = {
      formatLength: length,
      formatTail: Buffer.from(payload.slice(length)).toString('base64url'),
    };
    const signature = {
      protected: Buffer.from(JSON.stringify(header)).toString('base64url'),
      signature: 'x',
    };
    const signed = `${payload.slice(0, length)},\n   "signatures": [${JSON.stringify(signature)}]\n}`;
    assert.equal(schema1Payload(Buffer.from(signed), 'manifest').toString(), payload);
    assert.equal(schema1Payload(Buffer.from(payload), 'manifest').toString(), payload);
    const far = Buffer.from('{"formatLength":99999}').toString('base64url');
    assert.throws(
      () => schema1Payload(Buffer.from(`{"signatures":[{"protected":"${far}"}]}`), 'manifest'),
      /bad signature/,
    );
  });
});
