// Images of docker and OCI in files and directories, made by skopeo and umoci, which also judge what comes out.

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

import { busyboxFiles } from '@rkt/testkit/busybox';
import { buildOciImage, layoutFiles, savedFiles, tarOf, writeFiles } from '@rkt/testkit/oci-builder';

import { execute } from '../lib/process.ts';
import { forEachFlavour } from '../lib/flavours.ts';
import { expectStatus, INSECURE, Rkt } from '../lib/rkt.ts';
import { suite } from '../lib/suite.ts';

suite('docker sources', ['root', 'busybox', 'program:skopeo', 'program:umoci'], (the) => {
  const image = buildOciImage({
    layers: [
      busyboxFiles(),
      [
        { path: 'data/', mode: 0o750, uid: 1000, gid: 50 },
        { path: 'data/old', content: 'old', uid: 1000 },
        { path: 'data/gone', content: 'gone' },
        { path: 'data/link', type: 'symlink', linkname: 'old' },
        { path: 'data/hard', type: 'hardlink', linkname: 'data/old' },
      ],
      [{ path: 'data/.wh.gone' }, { path: 'data/new', content: 'new', mode: 0o4755 }],
    ],
    config: { config: { Entrypoint: ['/bin/sh', '-c', 'cat /data/new; echo'] } },
  });
  let layout = '';
  before(() => {
    layout = writeFiles(the.rkt.tmp.join('layout'), layoutFiles([{ image, tag: '1.0' }]));
  });

  const skopeo = async (...args: readonly string[]): Promise<void> =>
    void expectStatus(await execute('skopeo', ['--insecure-policy', 'copy', ...args]), 0);
  const fetched = async (argument: string, cwd?: string): Promise<string> => {
    const options = cwd === undefined ? {} : { cwd };
    return (await the.rkt.ok([INSECURE, 'fetch', '--full', argument], options)).stdout.trim();
  };

  it('as skopeo writes them are read', async () => {
    const dir = the.rkt.tmp.join('skopeo');
    mkdirSync(dir);
    const places = {
      oci: `oci:${dir}/oci:2.0`,
      'oci-archive': `oci-archive:${dir}/oci.tar:2.0`,
      'docker-archive': `docker-archive:${dir}/docker.tar:quay.io/acme/srv:2.0`,
    };
    for (const [kind, place] of Object.entries(places)) {
      await skopeo(`oci:${layout}:1.0`, place);
      const key = await fetched(place);
      const { stdout } = await the.rkt.ok(['image', 'cat-manifest', key]);
      const manifest = JSON.parse(stdout) as { name: string; labels: { name: string; value: string }[] };
      assert.equal(manifest.labels.find(({ name }) => name === 'version')?.value, '2.0', kind);
      if (kind === 'docker-archive') assert.equal(manifest.name, 'quay.io/acme/srv');
      // One image needs no tag.
      await fetched(place.split(':').slice(0, 2).join(':'));
    }
    await fetched('oci:oci:2.0', dir);
    await the.rkt.fails([INSECURE, 'fetch', `oci:${dir}/oci:3.0`], /has no image "3.0", only "2.0"/);
  });

  it('that docker saved with several tags, and packed, are read', async () => {
    const other = buildOciImage();
    const file = the.rkt.tmp.join('saved.tar.gz');
    const files = savedFiles([
      { image, tags: ['quay.io/acme/a:1', 'quay.io/acme/a:latest'] },
      { image: other, tags: ['busybox:latest'] },
    ]);
    writeFileSync(file, gzipSync(tarOf(files)));
    await the.rkt.fails([INSECURE, 'fetch', `docker-archive:${file}`], /has 2 images/);
    assert.notEqual(
      await fetched(`docker-archive:${file}:busybox`),
      await fetched(`docker-archive:${file}:quay.io/acme/a`),
    );
  });

  it('unpack as umoci unpacks them', async () => {
    const bundle = the.rkt.tmp.join('bundle');
    expectStatus(await execute('umoci', ['unpack', '--image', `${layout}:1.0`, bundle]), 0);
    const key = await fetched(`oci:${layout}:1.0`);
    const out = the.rkt.tmp.join('extracted');
    await the.rkt.ok(['image', 'extract', '--rootfs-only', key, out]);
    const tree = async (root: string): Promise<string[]> => {
      const { stdout } = await execute('find', [
        root,
        '-mindepth',
        '1',
        '-printf',
        '%P %y %m %U:%G %s %n %l\n',
      ]);
      // rkt adds links to /dev (contract stage0 5.5), and a directory's size is the file system's affair.
      return stdout
        .split('\n')
        .filter((line) => !line.startsWith('dev'))
        .map((line) => line.replace(/^(\S+ d \S+ \S+) .*/, '$1'))
        .sort();
    };
    assert.deepEqual(await tree(out), await tree(`${bundle}/rootfs`));
    assert.ok(!existsSync(`${out}/data/gone`));
  });

  it('made by umoci are read', async () => {
    const [made, bundle] = [the.rkt.tmp.join('umoci'), the.rkt.tmp.join('umoci-bundle')];
    const umoci = async (...args: readonly string[]): Promise<void> =>
      void expectStatus(await execute('umoci', args), 0);
    await umoci('init', '--layout', made);
    await umoci('new', '--image', `${made}:new`);
    await umoci('unpack', '--image', `${made}:new`, bundle);
    writeFileSync(`${bundle}/rootfs/one`, 'one');
    await umoci('repack', '--refresh-bundle', '--image', `${made}:new`, bundle);
    rmSync(`${bundle}/rootfs/one`);
    writeFileSync(`${bundle}/rootfs/two`, 'two');
    await umoci('repack', '--image', `${made}:new`, bundle);
    await umoci('config', '--image', `${made}:new`, '--config.cmd', '/bin/x', '--author', 'somebody');
    const key = await fetched(`oci:${made}:new`);
    const { stdout } = await the.rkt.ok(['image', 'cat-manifest', key]);
    assert.match(stdout, /somebody/);
    const out = the.rkt.tmp.join('repacked');
    await the.rkt.ok(['image', 'extract', '--rootfs-only', key, out]);
    assert.deepEqual(
      readdirSync(out).filter((name) => name !== 'dev'),
      ['two'],
    );
  });

  forEachFlavour([], (flavour) => {
    it('run', async () => {
      const result = await the.rkt.ok(flavour.run(`oci:${layout}:1.0`));
      assert.deepEqual(flavour.linesOf(result), ['new']);
    });
  });

  it('that are damaged leave nothing in the store', async () => {
    using rkt = new Rkt('damaged');
    const files = layoutFiles([{ image, tag: '1.0' }]);
    const [layer] = image.layers;
    const name = `blobs/${layer?.digest.replace(':', '/')}`;
    const bytes = Buffer.from(files.get(name) ?? '');
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
    const broken = writeFiles(rkt.tmp.join('broken'), new Map([...files, [name, bytes]]));
    await rkt.fails([INSECURE, 'fetch', `oci:${broken}`], /is not what its digest says|stream is/);
    assert.equal((await rkt.ok(['image', 'list', '--no-legend'])).stdout.trim(), '');
  });
});
