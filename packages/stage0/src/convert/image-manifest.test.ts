// What becomes of an image config (contract stage0 5.4, 11.13). Runs in the test process.

import assert from 'node:assert/strict';

import { annotationValue } from '@rkt/spec/annotations';
import { type ImageManifest, parseImageManifest, serializeImageManifest } from '@rkt/spec/image-manifest';
import { hostArch } from '@rkt/spec/labels';

import { convertedManifest } from './image-manifest.ts';
import { layerTar, testImage, type TestImageOptions } from './testing/test-image.ts';

const TARS = [layerTar([{ name: 'a' }]), layerTar([{ name: 'b' }])];

function convert(options: TestImageOptions = {}): ImageManifest {
  return parseImageManifest(serializeImageManifest(convertedManifest(testImage(TARS, options))));
}

describe('converted manifest', () => {
  it('is that of the contract', () => {
    const image = testImage(TARS, {
      reference: { index: 'quay.io', repository: 'acme/srv', tag: '1.2', text: 'quay.io/acme/srv:1.2' },
      run: {
        user: '1000:50',
        env: ['PATH=/bin', 'X'],
        entrypoint: ['/entry'],
        cmd: ['run'],
        exposedPorts: ['53/udp', '80/tcp'],
        volumes: ['/data', '/var/lib/My_App'],
        workingDir: '/w',
      },
      config: { author: 'A <a@b>', created: '2017-01-02T03:04:05.123456789Z' },
    });
    const [config, architecture] = [image.config, 'arm64'];
    assert.deepEqual(convertedManifest({ ...image, config: { ...config, architecture } }), {
      acKind: 'ImageManifest',
      acVersion: '0.8.11',
      name: 'quay.io/acme/srv',
      labels: [
        { name: 'arch', value: 'aarch64' },
        { name: 'os', value: 'linux' },
        { name: 'version', value: '1.2' },
      ],
      app: {
        exec: ['/entry', 'run'],
        user: '1000',
        group: '50',
        workingDirectory: '/w',
        environment: [{ name: 'PATH', value: '/bin' }],
        mountPoints: [
          { name: 'volume-data', path: '/data' },
          { name: 'volume-var-lib-my-app', path: '/var/lib/My_App' },
        ],
        ports: [
          { name: '53-udp', protocol: 'udp', port: 53, count: 1, socketActivated: false },
          { name: '80-tcp', protocol: 'tcp', port: 80, count: 1, socketActivated: false },
        ],
      },
      annotations: [
        { name: 'author', value: 'A <a@b>' },
        { name: 'created', value: '2017-01-02T03:04:05Z' },
        { name: 'appc.io/docker/originalname', value: 'quay.io/acme/srv:1.2' },
        { name: 'appc.io/docker/registryurl', value: 'quay.io' },
        { name: 'appc.io/docker/repository', value: 'acme/srv' },
        { name: 'appc.io/docker/imageid', value: image.layers[1]?.digest },
        { name: 'appc.io/docker/manifesthash', value: image.manifestDigest },
        { name: 'appc.io/docker/entrypoint', value: '["/entry"]' },
        { name: 'appc.io/docker/cmd', value: '["run"]' },
      ],
    });
  });

  it('is named by index and repository, the default index too, and has no version without a tag', () => {
    const reference = { index: 'registry-1.docker.io', repository: 'library/busybox', text: 'busybox' };
    assert.equal(convert({ reference }).name, 'registry-1.docker.io/library/busybox');
    assert.equal(convert({ reference: { index: 'localhost:5000' } }).name, 'localhost_5000/a/b');
    const image = testImage(TARS);
    const { tag: _tag, ...untagged } = image.reference;
    const names = convertedManifest({ ...image, reference: untagged }).labels?.map(({ name }) => name);
    assert.deepEqual(names, ['arch', 'os']);
  });

  it('has no app when the image config has no config section', () => {
    const image = testImage(TARS);
    const { config: _run, ...config } = image.config;
    assert.equal(convertedManifest({ ...image, config }).app, undefined);
  });

  it('runs as root unless told otherwise, and with one name for both', () => {
    for (const [text, user, group] of [
      ['', '0', '0'],
      ['app', 'app', 'app'],
      ['1000', '1000', '1000'],
      ['app:staff', 'app', 'staff'],
      ['app:', 'app', 'app'],
    ] as const) {
      const app = convert({ run: { user: text } }).app;
      assert.deepEqual([app?.user, app?.group], [user, group], text);
    }
  });

  it('splits variables at the first =, keeps the last of equal names, drops what has none', () => {
    const { app } = convert({ run: { env: ['A=1=2', 'B=', 'A=3', 'NONE', 'L=a\nb'] } });
    assert.deepEqual(app?.environment, [
      { name: 'A', value: '3' },
      { name: 'B', value: '' },
      { name: 'L', value: 'a\nb' },
    ]);
    assert.throws(() => convert({ run: { env: ['1X=a'] } }), /does not have valid identifier/);
    assert.throws(() => convert({ run: { env: ['A=a\0b'] } }));
  });

  it('numbers volumes of one name', () => {
    const { app } = convert({ run: { volumes: ['/data', '/Data', '/data/'] } });
    assert.deepEqual(app?.mountPoints, [
      { name: 'volume-data', path: '/Data' },
      { name: 'volume-data-1', path: '/data' },
      { name: 'volume-data-2', path: '/data/' },
    ]);
  });

  it('refuses ports that are none', () => {
    assert.deepEqual(
      convert({ run: { exposedPorts: ['80', '443/tcp'] } }).app?.ports?.map(({ name, protocol, port }) => [
        name,
        protocol,
        port,
      ]),
      [
        ['443-tcp', 'tcp', 443],
        ['80', 'tcp', 80],
      ],
    );
    for (const port of ['0/tcp', '65536', 'http', '80/tcp/x', '-1'])
      assert.throws(() => convert({ run: { exposedPorts: [port] } }), { code: 'bad-image' }, port);
  });

  it('takes the platform of the host when the config names none, or none that is known', () => {
    const host = [
      { name: 'arch', value: hostArch() },
      { name: 'os', value: 'linux' },
      { name: 'version', value: '1' },
    ];
    assert.deepEqual(convert({ config: { os: '', architecture: '' } }).labels, host);
    assert.deepEqual(convert({ config: { os: 'plan9', architecture: 'mips' } }).labels, host);
    const arch = (architecture: string, variant?: string): string | undefined =>
      convert({ config: { architecture, ...(variant !== undefined && { variant }) } }).labels?.[0]?.value;
    assert.equal(arch('arm', 'v7'), 'armv7l');
    assert.equal(arch('arm'), 'armv6l');
    assert.equal(arch('386'), 'i386');
  });

  it('tells what only old images say', () => {
    const legacy = { schema: '2.1', id: 'top', parent: 'below', comment: 'hi' } as const;
    const options = { legacy, run: { labels: new Map([['coreos.com/rkt/stage1/run', '/x']]) } };
    const manifest = convert({ ...options, config: { author: 'me', created: '1970-01-01T00:00:00Z' } });
    const values = [
      'authors',
      'created',
      'docker-comment',
      'appc.io/docker/imageid',
      'appc.io/docker/parentimageid',
    ];
    assert.deepEqual(
      [...values, 'appc.io/docker/tag'].map((name) => annotationValue(manifest.annotations, name)),
      ['me', undefined, 'hi', 'top', 'below', '1'],
    );
    assert.deepEqual(manifest.app?.userLabels, { 'coreos.com/rkt/stage1/run': '/x' });
    assert.equal(annotationValue(manifest.annotations, 'coreos.com/rkt/stage1/run'), undefined);
    const v1 = convert({ legacy: { schema: 'v1', id: 'top' } });
    assert.equal(annotationValue(v1.annotations, 'appc.io/docker/manifesthash'), 'top');
    assert.equal(annotationValue(v1.annotations, 'appc.io/docker/tag'), undefined);
  });

  it('lets no label of an image speak to rkt', () => {
    const labels = new Map([
      ['coreos.com/rkt/stage1/run', '/evil'],
      ['coreos.com/rkt/stage2/stdin', 'tty'],
      ['appc.io/docker/repository', 'other'],
      ['appc.io/executor/supports-systemd-notify', 'true'],
      ['created', 'never'],
    ]);
    const manifest = convert({ run: { labels } });
    assert.equal(annotationValue(manifest.annotations, 'appc.io/docker/repository'), 'a/b');
    assert.ok(!JSON.stringify(manifest).includes('evil'));
    assert.equal(manifest.app?.userLabels, undefined);
    assert.deepEqual(
      manifest.annotations?.filter(({ name }) => !name.startsWith('appc.io/docker/')),
      [],
    );
  });

  it('takes entry points from the labels of an image that was pushed as a stage1, and nothing else', () => {
    const labels = new Map([
      ['coreos.com/rkt/stage1/run', '/init'],
      ['coreos.com/rkt/stage1/interface-version', '6'],
      ['coreos.com/rkt/stage2/stdin', 'tty'],
      ['created', 'never'],
    ]);
    assert.deepEqual(convert({ run: { labels }, isStage1: true }).annotations?.slice(-2), [
      { name: 'coreos.com/rkt/stage1/interface-version', value: '6' },
      { name: 'coreos.com/rkt/stage1/run', value: '/init' },
    ]);
  });

  it('drops a date that is none', () => {
    const created = (text: string): string | undefined =>
      annotationValue(convert({ config: { created: text } }).annotations, 'created');
    assert.equal(created('yesterday'), undefined);
    assert.equal(created('2020-02-30T00:00:00Z'), undefined);
    assert.equal(created('2020-02-03T04:05:06.5+02:00'), '2020-02-03T04:05:06+02:00');
  });
});
