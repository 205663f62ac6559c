// What `rkt prepare` refuses in ports, volumes and given pod manifests, and pods without overlay (contract stage0 8.4, 8.6,
// 8.8, 8.9).

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';

import { MNT_DETACH, MS_BIND } from '@rkt/linux/constants';
import { openKernel } from '@rkt/linux/libc';

import { RKT_BIN } from '../lib/environment.ts';
import { podSuite } from '../lib/fixtures.ts';
import { tinyImage } from '../lib/images.ts';
import { requires } from '../lib/requires.ts';
import { FAILURE, INSECURE, Rkt } from '../lib/rkt.ts';

podSuite('refusals of prepare', [], (the) => {
  const fails = async (message: string, ...words: readonly string[]): Promise<void> => {
    await the.rkt.fails([INSECURE, '--debug', 'prepare', the.stub, ...words], message);
    assert.deepEqual(the.rkt.podsIn('prepared'), []);
  };
  const port = (name: string, number: number): object => ({ name, protocol: 'tcp', port: number });

  it('ports that no app has, that two have, and that two ports of the pod want', async () => {
    const web = tinyImage(the.rkt, { exec: ['/x'], app: { ports: [port('http', 80), port('admin', 81)] } });
    await fails('port name "ftp" could not be found in any apps', '--port=ftp:21', web);
    const twice = [web, '--name=one', web, '--name=two'];
    await fails('port name "http" defined multiple apps', '--port=http:80', ...twice);
    await fails(
      'port tcp-0.0.0.0:8080 already mapped to pod port 80',
      '--port=http:8080',
      '--port=admin:127.0.0.1:8080',
      web,
    );
  });

  it('volumes and mounts that say a thing twice, or have no name', async () => {
    const mount = '--mount=volume=v,target=/v';
    await fails('with multiple values', '--volume=v,kind=empty,mode=0755,mode=0700', mount, the.image);
    await fails(
      'invalid volume name "V v"',
      '--volume=v,kind=empty',
      '--mount=volume=V v,target=/v',
      the.image,
    );
    for (const volume of [
      '#foobar,kind=host,source=/tmp',
      'x,kind=host,source=tmp',
      'x,kind=host,mode=0755',
      'x,kind=empty,source=/tmp',
      'x,kind=host,source=/tmp,recursive=MAYBE',
    ])
      await fails(`invalid value in --volume flag "${volume}"`, `--volume=${volume}`, the.image);
  });

  it('pod manifests whose apps have no image, no name of their own, or nothing to run', async () => {
    const key = await the.rkt.fetch(tinyImage(the.rkt, { name: 'example.com/none' }));
    const unknown = `sha512-${'0'.repeat(128)}`;
    const app = { exec: ['/x'], user: '0', group: '0', ports: [port('http', 80)] };
    const manifest = (...apps: readonly object[]): object => ({
      acVersion: '0.8.11',
      acKind: 'PodManifest',
      apps,
      ports: [{ name: 'http', hostPort: 80 }],
    });
    const file = the.rkt.tmp.join('refused.json');
    const cases: readonly (readonly [message: string, text: string])[] = [
      ['no app section in the pod manifest or the image manifest', text({ name: 'a', image: { id: key } })],
      ['error getting the image manifest from store', text({ name: 'a', image: { id: unknown }, app })],
      ['no image ID for app "a"', text({ name: 'a', image: { name: 'example.com/none' }, app })],
      [
        'duplicate apps of name "a"',
        text({ name: 'a', image: { id: key }, app }, { name: 'a', image: { id: key }, app }),
      ],
      [
        'port name "http" could not be found',
        text({ name: 'a', image: { id: key }, app: { ...app, ports: [] } }),
      ],
      ['error unmarshaling pod manifest', '{"acKind": "PodManifest"'],
      ['error unmarshaling pod manifest', '{"acKind": "ImageManifest"}'],
    ];
    function text(...apps: readonly object[]): string {
      return JSON.stringify(manifest(...apps));
    }
    for (const [message, content] of cases) {
      writeFileSync(file, content);
      await fails(message, `--pod-manifest=${file}`);
    }
    await fails('error reading pod manifest', `--pod-manifest=${file}.missing`);
  });

  it('a stage1 that is configured and not there', async () => {
    the.rkt.configure('localConfig', 'stage1.d/s.json', {
      rktKind: 'stage1',
      rktVersion: 'v1',
      location: '/nowhere/stage1-none.aci',
    });
    await the.rkt.fails([INSECURE, '--debug', 'prepare', the.image], 'failed to fetch stage1 image');
    the.rkt.configure('localConfig', 'stage1.d/s.json', { rktKind: 'stage1', rktVersion: 'v1' });
  });

  it('no overlay on an overlay: pods are copies there', async function () {
    requires(this, 'overlayfs');
    const own = new Rkt('on-overlay');
    const layers = ['lower', 'upper', 'work'].map((name) => own.tmp.join(name));
    for (const layer of layers) mkdirSync(layer);
    const [lower, upper, work] = layers;
    const options = `lowerdir=${lower},upperdir=${upper},workdir=${work}`;
    openKernel().mount('overlay', own.data, 'overlay', 0, options);
    try {
      const { stderr } = await own.ok([INSECURE, 'run', '--net=host', the.stub, the.image]);
      assert.match(stderr, /disabling overlay support: "unsupported filesystem: no overlay can be mounted: /);
      const [uuid = ''] = own.podsIn('run');
      assert.ok(existsSync(`${own.podDir(uuid)}/stage1/rootfs/opt/stage2/tiny/rootfs/file`));
      assert.deepEqual(
        readdirSync(own.data).filter((name) => name.startsWith('overlay-')),
        [],
      );
      await own.sweep();
    } finally {
      openKernel().umount2(own.data, MNT_DETACH);
      own.tmp.remove();
    }
  });

  it('no overlay where the kernel has none, but pods that were prepared with it', async function () {
    requires(this, 'overlayfs');
    const uuid = await the.prepare();
    const without = the.rkt.tmp.join('filesystems');
    writeFileSync(without, readFileSync('/proc/filesystems', 'utf8').replace('nodev\toverlay\n', ''));
    openKernel().mount(without, '/proc/filesystems', null, MS_BIND, null);
    try {
      await the.rkt.fails(
        ['run-prepared', '--net=host', uuid],
        'unable to run prepared overlay-enabled pod: overlay not supported',
      );
      const { stdout, stderr } = await the.rkt.ok([INSECURE, 'prepare', '--quiet', the.stub, the.image]);
      assert.match(stderr, /disabling overlay support: "overlay entry not present in \/proc\/filesystems"/);
      assert.equal(existsSync(`${the.rkt.podDir(stdout.trim())}/overlay-prepared`), false);
    } finally {
      openKernel().umount2('/proc/filesystems', 0);
    }
  });

  it('users of their own where the kernel has none', async function () {
    requires(this, 'program:unshare');
    const words = [...the.rkt.directoryFlags, 'prepare', '--private-users', the.stub, the.image];
    const script = 'mount -t tmpfs none /proc; exec "$@"';
    const { output, status } = await the.rkt.startBare(
      ['--mount', 'sh', '-c', script, 'sh', RKT_BIN, ...words],
      {},
      'unshare',
    ).ended;
    assert.match(
      output,
      /^prepare: --private-users is not supported, kernel compiled without user namespace support$/m,
    );
    assert.equal(status, FAILURE);
  });
});
