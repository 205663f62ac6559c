// Image manifests (contract stage0 3.2).

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

import { APPC_VERSION } from './appc-version.ts';
import { parseImageManifest, serializeImageManifest } from './image-manifest.ts';

const full = readFileSync(new URL('../testdata/image-full.json', import.meta.url), 'utf8').trimEnd();
const minimal = { acKind: 'ImageManifest', acVersion: APPC_VERSION, name: 'example.com/a' } as const;
const read = (change: object): unknown => parseImageManifest(JSON.stringify({ ...minimal, ...change }));

describe('parseImageManifest', () => {
  it('needs kind, version and name', () => {
    assert.deepEqual(read({}), minimal);
    const missing = 'image manifest: missing or bad ACKind (must be "ImageManifest")';
    assert.throws(() => parseImageManifest('null'), { message: missing });
    assert.throws(() => read({ acKind: null }), { message: missing });
    const messages: [change: object, message: string][] = [
      [{ acKind: 'PodManifest' }, `acKind: missing or bad ACKind (must be "ImageManifest")`],
      [{ acKind: '' }, 'acKind: ACKind must be set'],
      [{ acKind: 'x' }, 'acKind: bad ACKind: x'],
      [{ acVersion: null }, 'acVersion must be set'],
      [{ acVersion: '1' }, 'acVersion: SemVer is bad'],
      [{ acVersion: '0.0.0' }, 'acVersion: SemVer cannot be zero'],
      [{ name: null }, 'name must be set'],
      [{ name: '' }, 'name: ACIdentifier cannot be empty'],
      [
        { labels: [{ name: 'os', value: 'plan9' }] },
        'labels: bad os "plan9" (must be one of: [darwin freebsd linux])',
      ],
      [{ app: {} }, 'app: user is required'],
      [{ dependencies: [{}] }, 'dependencies[0]: imageName must be set'],
      [
        { dependencies: [{ imageName: 'a', imageID: 'x' }] },
        'dependencies[0].imageID: badly formatted hash string: "x"',
      ],
      [
        { dependencies: [{ imageName: 'a', size: -1 }] },
        'dependencies[0].size: size must be an unsigned integer',
      ],
      [{ pathWhitelist: ['a'] }, 'pathWhitelist[0]: pathWhitelist must have absolute paths'],
    ];
    for (const [change, message] of messages) {
      assert.throws(() => read(change), { code: 'bad-manifest', message: `image manifest: ${message}` });
    }
  });
  it('names what is being read', () => {
    assert.throws(
      () => parseImageManifest('{', '/x/manifest'),
      /^RktError: \/x\/manifest: line 1, column 2: /,
    );
    assert.throws(
      () => parseImageManifest('{}', '/x/manifest'),
      /^RktError: \/x\/manifest: missing or bad ACKind/,
    );
  });
  it('accepts versions of the standard it does not know', () => {
    read({ acVersion: '99.0.0' });
  });
});

describe('serializeImageManifest', () => {
  it('writes every field in order, maps by key', () => {
    assert.equal(serializeImageManifest(parseImageManifest(full), '\t'), full);
    const compact = serializeImageManifest(parseImageManifest(full));
    assert.deepEqual(JSON.parse(compact), JSON.parse(full));
    assert.equal(/\s{2}|[\t\n]/.test(compact), false);
  });
  it('leaves empty fields out', () => {
    const empty = { labels: [], annotations: [], dependencies: [], pathWhitelist: [] };
    const text = '{"acKind":"ImageManifest","acVersion":"0.8.11","name":"example.com/a"}';
    assert.equal(serializeImageManifest({ ...minimal, ...empty }), text);
    const app = { exec: [], user: '0', group: '0', environment: [], userLabels: {}, workingDirectory: '' };
    assert.equal(
      serializeImageManifest({ ...minimal, app }),
      text.replace('}', ',"app":{"exec":[],"user":"0","group":"0"}}'),
    );
  });
  it('checks what it writes', () => {
    assert.throws(() => serializeImageManifest({ ...minimal, name: 'A' }), /ACIdentifier must contain/);
  });
});
