// Images in layouts and archives, as skopeo, docker and others write them, and as nobody should (hostile inputs 28-30).

import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { gzipSync, zstdCompressSync } from 'node:zlib';

import {
  buildOciImage,
  type BuiltOciImage,
  descriptor,
  jsonBlob,
  layoutFiles,
  savedFiles,
  tarOf,
  writeFiles,
} from '@rkt/testkit/oci-builder';
import { paxEntry, paxRecord, rawArchive, rawEntry } from '@rkt/testkit/raw-tar';
import { casTmpDir } from '@rkt/pod-layout/data-dir';

import { TestContext } from './testing/test-context.ts';

describe('images of this machine', () => {
  let the: TestContext;
  const [one, two] = [
    buildOciImage({ layers: [[{ path: 'a', content: 'one' }], [{ path: 'b', content: 'two' }]] }),
    buildOciImage({ config: { author: 'two' }, compression: 'zstd' }),
  ];
  beforeEach(() => {
    the = new TestContext();
  });
  afterEach(() => the[Symbol.dispose]());

  const stored = (image: BuiltOciImage): Buffer[] => image.layers.map(({ bytes }) => bytes);
  const put = (name: string, bytes: Uint8Array): void => writeFileSync(the.join(name), bytes);
  const refuses = (argument: string, code: string, message: RegExp): Promise<void> =>
    assert.rejects(the.read(argument), (error: Error & { code: string }) => {
      assert.match(error.message, message);
      assert.equal(error.code, code, error.message);
      return true;
    });

  describe('in layouts', () => {
    it('are found by tag', async () => {
      writeFiles(
        the.join('My Layout'),
        layoutFiles([
          { image: one, tag: '1.0' },
          { image: two, tag: 'two' },
        ]),
      );
      const { image, layers } = await the.read('oci:My Layout:1.0');
      assert.equal(image.source, 'oci');
      assert.equal(image.manifestDigest, one.manifest.digest);
      assert.deepEqual(layers, stored(one));
      assert.deepEqual(image.reference, {
        index: 'localhost',
        repository: 'my-layout',
        tag: '1.0',
        text: 'oci:My Layout:1.0',
      });
      assert.equal((await the.read('oci:My Layout:two')).image.config.author, 'two');
    });
    it('need no tag when there is one image', async () => {
      writeFiles(the.join('x'), layoutFiles([{ image: one }]));
      const { image } = await the.read('oci:x');
      assert.equal(image.manifestDigest, one.manifest.digest);
      assert.equal(image.reference.tag, undefined);
    });
    it('of several need one, and are listed', async () => {
      writeFiles(the.join('x'), layoutFiles([{ image: one, tag: 'a' }, { image: two }]));
      await refuses('oci:x', 'not-found', /x has several images: "a", one without a tag$/);
      await refuses('oci:x:b', 'not-found', /x has no image "b", only "a", one without a tag$/);
    });
    it('are chosen by platform', async () => {
      const platform = (architecture: string): { os: string; architecture: string } => ({
        os: 'linux',
        architecture,
      });
      writeFiles(
        the.join('x'),
        layoutFiles([
          { image: one, tag: '1', platform: platform('arm64') },
          { image: two, tag: '1', platform: platform('amd64') },
        ]),
      );
      assert.equal((await the.read('oci:x:1')).image.config.author, 'two');
      const arm = { platform: platform('arm64') };
      assert.equal((await the.read('oci:x:1', arm)).image.manifestDigest, one.manifest.digest);
      await assert.rejects(the.read('oci:x:1', { platform: platform('s390x') }), { code: 'no-platform' });
    });
    it('are called as containerd or their tag calls them', async () => {
      for (const [name, annotation] of [
        ['io.containerd.image.name', 'quay.io/acme/srv:1.2'],
        ['org.opencontainers.image.ref.name', 'quay.io/acme/srv:1.2'],
      ] as const) {
        const files = layoutFiles([{ image: one, tag: '1.2' }]);
        const manifests = [descriptor(one.manifest, { annotations: { [name]: annotation } })];
        files.set('index.json', Buffer.from(JSON.stringify({ schemaVersion: 2, manifests })));
        writeFiles(the.join(name), files);
        const { index, repository, tag } = (await the.read(`oci:${name}`)).image.reference;
        assert.deepEqual([index, repository, tag], ['quay.io', 'acme/srv', '1.2']);
      }
    });
    it('that are none are refused', async () => {
      await refuses('oci:missing', 'wrapped', /^cannot open image layout /);
      put('file', Buffer.from('x'));
      await refuses('oci:file', 'wrapped', /^cannot open image layout /);
      mkdirSync(the.join('empty'));
      await refuses('oci:empty', 'not-found', /empty has no oci-layout$/);
      const files = layoutFiles([{ image: one }]);
      writeFiles(
        the.join('old'),
        new Map([...files, ['oci-layout', Buffer.from('{"imageLayoutVersion":"0.1"}')]]),
      );
      await refuses('oci:old', 'bad-image', /is of version "0.1"/);
      writeFiles(the.join('none'), layoutFiles([]));
      await refuses('oci:none', 'not-found', /has no image/);
    });

    const faults: Record<
      string,
      readonly [change: (files: Map<string, Buffer>) => void, code: string, message: RegExp]
    > = {
      'a missing blob': [
        (files) => files.delete(blobFile(one.config.digest)),
        'not-found',
        /has no blobs\/sha256\//,
      ],
      'another config': [
        (files) =>
          files.set(
            blobFile(one.config.digest),
            Buffer.from(one.config.bytes.toString().replace('amd64', 'arm64')),
          ),
        'digest-mismatch',
        /^config sha256:/,
      ],
      'another manifest': [
        (files) => files.set(blobFile(one.manifest.digest), two.manifest.bytes),
        'digest-mismatch',
        /^manifest sha256:/,
      ],
      'another layer': [
        (files) => files.set(blobFile(one.layers[0]?.digest ?? ''), one.layers[1]?.bytes ?? Buffer.alloc(0)),
        'digest-mismatch',
        /^layer sha256:|ends after|is longer/,
      ],
      'an index that is a manifest, too': [
        (files) => files.set('index.json', Buffer.from('{"schemaVersion":2,"manifests":[],"layers":[]}')),
        'bad-image',
        /is ambiguous/,
      ],
      'a digest that leads out': [
        (files) =>
          files.set(
            'index.json',
            Buffer.from(
              JSON.stringify({
                schemaVersion: 2,
                manifests: [{ ...descriptor(one.manifest), digest: 'sha256:../../../x' }],
              }),
            ),
          ),
        'bad-image',
        /bad digest "sha256:\.\.\/\.\.\/\.\.\/x"/,
      ],
    };
    for (const [name, [change, code, message]] of Object.entries(faults)) {
      it(`with ${name} are refused`, async () => {
        const files = layoutFiles([{ image: one }]);
        change(files);
        writeFiles(the.join('x'), files);
        await refuses('oci:x', code, message);
        put('x.tar', tarOf(files));
        await refuses('oci-archive:x.tar', code, message);
      });
    }
    it('whose links lead out are refused', async () => {
      const files = layoutFiles([{ image: one }]);
      put('outside', files.get('index.json') ?? Buffer.alloc(0));
      files.delete('index.json');
      writeFiles(the.join('x'), files);
      symlinkSync('../outside', the.join('x/index.json'));
      await assert.rejects(the.read('oci:x'), { code: 'EXDEV' });
    });
    it('with a directory for a file are refused', async () => {
      const files = layoutFiles([{ image: one }]);
      files.delete('index.json');
      writeFiles(the.join('x'), files);
      mkdirSync(the.join('x/index.json'));
      await refuses('oci:x', 'bad-image', /index\.json is not a regular file/);
    });
  });

  describe('in archives of layouts', () => {
    const files = layoutFiles([
      { image: one, tag: '1' },
      { image: two, tag: '2' },
    ]);
    const forms: Record<string, (tar: Buffer) => Buffer> = {
      tar: (tar) => tar,
      gz: gzipSync,
      zst: zstdCompressSync,
    };
    for (const [extension, pack] of Object.entries(forms)) {
      it(`are read: ${extension}`, async () => {
        put(`my.tar.${extension}`, pack(tarOf(files)));
        const { image, layers } = await the.read(`oci-archive:my.tar.${extension}:1`);
        assert.equal(image.source, 'oci-archive');
        assert.deepEqual(layers, stored(one));
        assert.equal(image.reference.repository, 'my');
        assert.equal((await the.read(`oci-archive:my.tar.${extension}:2`)).image.config.author, 'two');
        assert.deepEqual(readdirSync(casTmpDir(the.context.store.data)), []);
      });
    }
    it('may have names with ./ and directories', async () => {
      const entries = [...files].map(([name, bytes]) => rawEntry({ name: `./${name}` }, bytes));
      put(
        'x.tar',
        rawArchive([
          rawEntry({ name: './', type: '5' }),
          rawEntry({ name: './blobs/', type: '5' }),
          ...entries,
        ]),
      );
      await the.read('oci-archive:x.tar:1');
    });
    it('that have a member twice are refused', async () => {
      const again = rawEntry({ name: './index.json' }, '{}');
      put('x.tar', rawArchive([...[...files].map(([name, bytes]) => rawEntry({ name }, bytes)), again]));
      await refuses('oci-archive:x.tar:1', 'bad-image', /member \.\/index\.json is there twice/);
    });
    it('that are cut are refused at every block', async () => {
      const tar = tarOf(layoutFiles([{ image: one }]));
      const end = tar.length - 1024;
      for (let length = 512; length < end; length += 512) {
        put('x.tar', tar.subarray(0, length));
        await assert.rejects(the.read('oci-archive:x.tar'), (error: Error & { code: string }) =>
          ['bad-image', 'not-found', 'digest-mismatch'].includes(error.code),
        );
      }
      put('x.gz', gzipSync(tar).subarray(0, 500));
      await refuses('oci-archive:x.gz', 'bad-archive', /gzip stream is cut/);
    });
    it('that are none are refused', async () => {
      put('x.tar', Buffer.alloc(600, 'x'));
      await refuses('oci-archive:x.tar', 'bad-archive', /not a tar archive/);
      put('x.tar', Buffer.alloc(0));
      await refuses('oci-archive:x.tar', 'not-found', /has no oci-layout/);
      await refuses('oci-archive:missing', 'wrapped', /^cannot open image archive$/);
      mkdirSync(the.join('dir'));
      await refuses('oci-archive:dir', 'bad-image', /is not a regular file/);
    });
    it('with a bomb for a layer index are refused', async () => {
      put('x.gz', gzipSync(Buffer.alloc(300 * 1024 * 1024)));
      await refuses('oci-archive:x.gz', 'limit-exceeded', /expands to more than/);
    }).timeout(60_000);
  });

  describe('saved by docker', () => {
    const saved = (): Map<string, Buffer> =>
      savedFiles([
        { image: one, tags: ['quay.io/acme/one:1', 'quay.io/acme/one:latest'] },
        { image: two, tags: ['busybox:latest'] },
      ]);

    it('are found by any of their tags, and by place', async () => {
      put('x.tar', tarOf(saved()));
      for (const name of ['quay.io/acme/one:1', 'quay.io/acme/one', '@0']) {
        const { image, layers } = await the.read(`docker-archive:x.tar:${name}`);
        assert.equal(image.source, 'docker-archive');
        assert.deepEqual(layers, one.archives, name);
        assert.equal(image.manifestDigest, one.config.digest);
        assert.equal(image.reference.repository, 'acme/one');
        assert.deepEqual(
          image.layers.map(({ compression, digest, diffId }) => [compression, digest === diffId]),
          [
            ['none', true],
            ['none', true],
          ],
        );
      }
      for (const name of ['busybox', 'docker.io/library/busybox:latest', '@1']) {
        assert.equal((await the.read(`docker-archive:x.tar:${name}`)).image.config.author, 'two', name);
      }
      await refuses(
        'docker-archive:x.tar',
        'not-found',
        /has 2 images: "quay.io\/acme\/one:1", .*, "busybox:latest"$/,
      );
      await refuses('docker-archive:x.tar:busybox:2', 'not-found', /has no image "busybox:2", only/);
      await refuses('docker-archive:x.tar:@2', 'not-found', /has no image "@2"/);
      await refuses('docker-archive:x.tar:Bad', 'bad-reference', /lower case/);
    });
    it('need no name when there is one', async () => {
      put('My_image.tar.gz', gzipSync(tarOf(savedFiles([{ image: one }]))));
      const { image, layers } = await the.read('docker-archive:My_image.tar.gz');
      assert.deepEqual(layers, one.archives);
      assert.deepEqual([image.reference.index, image.reference.repository], ['localhost', 'my-image']);
    });
    it('may have layers that are links to others, or compressed', async () => {
      const twin = buildOciImage({ layers: [[{ path: 'a' }], [{ path: 'a' }]] });
      const files = savedFiles([{ image: twin }]);
      const [layer = Buffer.alloc(0)] = twin.archives;
      const manifest = [
        {
          Config: [...files.keys()].find((name) => name.endsWith('.json')),
          Layers: ['b/layer.tar', 'a/layer.tar'],
        },
      ];
      const config = files.get(manifest[0]?.Config ?? '') ?? Buffer.alloc(0);
      put(
        'x.tar',
        rawArchive([
          rawEntry({ name: 'b/layer.tar', type: '2', linkname: '../a/layer.tar' }),
          rawEntry({ name: 'a/layer.tar' }, gzipSync(layer)),
          rawEntry({ name: manifest[0]?.Config ?? '' }, config),
          paxEntry([paxRecord('path', 'manifest.json')]),
          rawEntry({ name: 'short' }, JSON.stringify(manifest)),
        ]),
      );
      const { image, layers } = await the.read('docker-archive:x.tar');
      assert.deepEqual(layers, [gzipSync(layer), gzipSync(layer)]);
      assert.deepEqual(
        image.layers.map(({ compression }) => compression),
        ['gzip', 'gzip'],
      );
    });

    const faults: Record<
      string,
      readonly [change: (files: Map<string, Buffer>) => void, code: string, message: RegExp]
    > = {
      'no manifest': [(files) => files.delete('manifest.json'), 'not-found', /has no manifest\.json/],
      'a manifest that is no list': [
        (files) => files.set('manifest.json', Buffer.from('{}')),
        'bad-image',
        /is not a list/,
      ],
      'a manifest that is not JSON': [
        (files) => files.set('manifest.json', Buffer.from('[')),
        'bad-image',
        /manifest\.json/,
      ],
      'an empty manifest': [
        (files) => files.set('manifest.json', Buffer.from('[]')),
        'not-found',
        /has 0 images/,
      ],
      'names that lead out': [
        (files) => files.set('manifest.json', Buffer.from('[{"Config":"../../etc/passwd","Layers":[]}]')),
        'not-found',
        /has no \.\.\/\.\.\/etc\/passwd/,
      ],
      'another config': [
        (files) => files.set(`${one.config.digest.slice(7)}.json`, two.config.bytes),
        'digest-mismatch',
        /is not what its digest/,
      ],
      'another layer': [
        (files) => {
          const name = [...files.keys()].find((each) => each.endsWith('layer.tar')) ?? '';
          files.set(name, Buffer.alloc(1024));
        },
        'digest-mismatch',
        /^layer sha256:/,
      ],
    };
    for (const [name, [change, code, message]] of Object.entries(faults)) {
      it(`with ${name} are refused`, async () => {
        const files = savedFiles([{ image: one }]);
        change(files);
        put('x.tar', tarOf(files));
        await refuses('docker-archive:x.tar', code, message);
      });
    }
    it('with a layer too few are refused', async () => {
      const config = jsonBlob('', { rootfs: { type: 'layers', diff_ids: [] } });
      const files = savedFiles([{ image: one }]);
      const [saved_] = JSON.parse(files.get('manifest.json')?.toString() ?? '') as { Layers: string[] }[];
      files.set('c.json', config.bytes);
      files.set('manifest.json', Buffer.from(JSON.stringify([{ Config: 'c.json', Layers: saved_?.Layers }])));
      put('x.tar', tarOf(files));
      await refuses('docker-archive:x.tar', 'bad-image', /0 diff_ids, but the image has 2 layers|bad digest/);
    });
  });
});

function blobFile(digest: string): string {
  return `blobs/${digest.replace(':', '/')}`;
}
