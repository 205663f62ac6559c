// Pod manifests (contract stage0 3.4, 8.4, 11.5).

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

import { imageKey } from './image-id.ts';
import { parseMountFlag } from './mount.ts';
import { parsePodManifest, serializePodManifest } from './pod-manifest.ts';
import type { PodManifest } from './pod-manifest.ts';
import { parseVolumeFlag } from './volume.ts';

const minimal = { acVersion: '2.0.0', acKind: 'PodManifest', apps: [] } as const;
const id = imageKey('ab'.repeat(32));
const read = (change: object): PodManifest => parsePodManifest(JSON.stringify({ ...minimal, ...change }));

describe('serializePodManifest', () => {
  it('writes the pod of contract 11.5', () => {
    const pod: PodManifest = {
      ...minimal,
      apps: [
        {
          name: 'web',
          image: {
            id,
            name: 'example.com/web',
            labels: [
              { name: 'version', value: '1.0' },
              { name: 'os', value: 'linux' },
              { name: 'arch', value: 'amd64' },
            ],
          },
          app: {
            exec: ['/bin/web', '--port', '80'],
            user: '0',
            group: '0',
            environment: [
              { name: 'B', value: '2' },
              { name: 'A', value: '1' },
            ],
            isolators: [
              { name: 'resource/memory', value: { default: false, request: '64Mi', limit: '64Mi' } },
              { name: 'os/linux/capabilities-retain-set', value: { set: ['CAP_CHOWN', 'CAP_KILL'] } },
            ],
            userLabels: { tier: 'front' },
          },
          mounts: [parseMountFlag('volume=data,target=/data')],
        },
      ],
      volumes: [parseVolumeFlag('data,kind=host,source=/srv,readOnly=true')],
      annotations: [{ name: 'coreos.com/rkt/stage1/mutable', value: 'false' }],
      ports: [],
    };
    const golden = readFileSync(new URL('../testdata/pod-generated.json', import.meta.url), 'utf8').trimEnd();
    assert.equal(serializePodManifest(pod), golden);
    assert.deepEqual(parsePodManifest(golden), pod);
  });
  it('writes null for lists that are not there', () => {
    assert.equal(
      serializePodManifest(minimal),
      '{"acVersion":"2.0.0","acKind":"PodManifest","apps":[],"volumes":null,"isolators":null,"annotations":null,"ports":null}',
    );
  });
  it('writes every field in order', () => {
    const port = { name: 'http', protocol: 'tcp', port: 80, count: 1, socketActivated: false };
    const text = serializePodManifest({
      userLabels: { b: '2', a: '1' },
      userAnnotations: { x: 'y' },
      ports: [{ podPort: port, hostIP: '10.0.0.1', hostPort: 8080, name: 'http' }],
      annotations: [],
      isolators: [{ value: 1, name: 'x/y' }],
      volumes: [],
      ...minimal,
      apps: [
        {
          annotations: [{ value: '1', name: 'a' }],
          mounts: [{ appVolume: { kind: 'empty', name: 'v' }, path: 'rel/../x', volume: 'v' }],
          readOnlyRootFS: true,
          image: { id },
          name: 'a',
        },
      ],
    });
    assert.equal(
      text,
      '{"acVersion":"2.0.0","acKind":"PodManifest","apps":[{"name":"a",' +
        `"image":{"id":"${id}"},"readOnlyRootFS":true,` +
        '"mounts":[{"volume":"v","path":"rel/../x","appVolume":{"name":"v","kind":"empty"}}],' +
        '"annotations":[{"name":"a","value":"1"}]}],"volumes":[],"isolators":[{"name":"x/y","value":1}],' +
        '"annotations":[],"ports":[{"name":"http","hostPort":8080,"hostIP":"10.0.0.1","podPort":' +
        '{"name":"http","protocol":"tcp","port":80,"count":1,"socketActivated":false}}],' +
        '"userAnnotations":{"x":"y"},"userLabels":{"a":"1","b":"2"}}',
    );
  });
  it('refuses volumes of one name', () => {
    const volume = parseVolumeFlag('v,kind=empty');
    assert.throws(() => serializePodManifest({ ...minimal, volumes: [volume, volume] }), {
      message: 'pod manifest: volumes: duplicate volume name "v"',
    });
  });
});

describe('parsePodManifest', () => {
  const app = { name: 'a', image: { id } };
  it('needs its kind', () => {
    assert.throws(() => read({ acKind: 'ImageManifest' }), /missing or bad ACKind \(must be "PodManifest"\)/);
  });
  it('refuses apps of one name', () => {
    assert.throws(() => read({ apps: [app, app] }), {
      message: 'pod manifest: apps: duplicate apps of name "a"',
    });
  });
  it('leaves the image ID to the caller', () => {
    assert.equal(read({ apps: [{ ...app, image: {} }] }).apps[0]?.image.id, '');
    assert.throws(() => read({ apps: [{ ...app, image: { id: 'md5-a' } }] }), /unrecognized hash type: md5/);
    assert.throws(() => read({ apps: [{ name: 'a' }] }), /app image must be set/);
  });
  it('completes empty volumes and checks addresses', () => {
    assert.deepEqual(read({ volumes: [{ name: 'v', kind: 'empty', uid: 5 }] }).volumes, [
      { name: 'v', kind: 'empty', mode: '0755', uid: 5, gid: 0 },
    ]);
    assert.throws(
      () => read({ ports: [{ name: 'x', hostPort: 1, hostIP: '1.2.3' }] }),
      /"1.2.3" is not a valid IP/,
    );
  });
  it('tells missing lists from empty ones', () => {
    assert.equal('ports' in read({ ports: null }), false);
    assert.deepEqual(read({ ports: [] }).ports, []);
  });
});
