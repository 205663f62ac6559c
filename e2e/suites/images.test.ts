// The image store and the `image` commands (contract stage0 7).

import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';

import type { AciFile } from '@rkt/testkit/aci-builder';
import { buildAci, COMPRESSIONS, imageIds } from '@rkt/testkit/aci-builder';
import { imageManifest } from '@rkt/testkit/manifests';

import { tinyImage, writeImage } from '../lib/images.ts';
import { requires } from '../lib/requires.ts';
import { FAILURE, INSECURE, Rkt } from '../lib/rkt.ts';
import { suite } from '../lib/suite.ts';

interface Row {
  readonly id: string;
  readonly name: string;
  readonly import_time: number;
  readonly last_used_time: number;
  readonly size: number;
}

const FILES: readonly AciFile[] = [
  { path: 'etc/', mode: 0o750 },
  { path: 'etc/conf', content: 'setting\n', mode: 0o640 },
  { path: 'bin/run', content: '#!/bin/sh\n', mode: 0o755 },
  { path: 'bin/alias', type: 'symlink', linkname: '/bin/run' },
  { path: 'bin/hard', type: 'hardlink', linkname: '/bin/run' },
];

suite('image store', [], () => {
  let rkt: Rkt;
  beforeEach(() => {
    rkt = new Rkt('store');
  });
  afterEach(() => rkt.tmp.remove());

  const rows = async (...flags: readonly string[]): Promise<Row[]> => {
    const { stdout } = await rkt.ok(['image', 'list', '--format=json', ...flags]);
    return (JSON.parse(stdout) as Row[] | null) ?? [];
  };
  const image = (name: string, version = '1.0.0'): string =>
    tinyImage(rkt, { name: `example.com/${name}`, version });

  describe('fetch of files', () => {
    it('prints the short hash, with --full the key', async () => {
      const path = writeImage(rkt, { manifest: imageManifest(), files: FILES });
      const { key } = imageIds(readFileSync(path));
      assert.equal((await rkt.ok([INSECURE, 'fetch', path])).stdout, `${key.slice(0, 39)}\n`);
      assert.equal((await rkt.ok([INSECURE, 'fetch', '--full', `file://${path}`])).stdout, `${key}\n`);
    });
    for (const compression of COMPRESSIONS) {
      it(`reads ${compression}`, async function () {
        if (compression === 'xz' || compression === 'bzip2') requires(this, `program:${compression}`);
        const description = { manifest: imageManifest(), files: FILES, compression };
        const { key } = buildAci({ ...description, compression: 'none' });
        assert.equal(await rkt.fetch(writeImage(rkt, description)), key);
        await rkt.ok(['image', 'export', key, rkt.tmp.join('out.aci')]);
        assert.equal(imageIds(readFileSync(rkt.tmp.join('out.aci'))).key, key);
      });
    }
    it('finds relative paths and several images', async () => {
      image('a');
      const [a, b] = [image('a'), image('b')];
      const relative = (path: string): string => path.slice(rkt.tmp.path.length + 1);
      const { stdout } = await rkt.ok([INSECURE, 'fetch', relative(a), `./${relative(b)}`], {
        cwd: rkt.tmp.path,
      });
      assert.equal(stdout.trimEnd().split('\n').length, 2);
    });
    it('wants a signature unless told otherwise', async () => {
      await rkt.fails(['--debug', 'fetch', image('a')], 'error opening signature file');
      assert.deepEqual(await rows(), []);
    });
    it('stops at the first image that fails', async () => {
      const result = await rkt.fails(
        [INSECURE, 'fetch', image('a'), './missing.aci', image('b')],
        /^fetch: /m,
      );
      assert.equal(result.stdout.trim().split('\n').length, 1);
      assert.deepEqual(
        (await rows()).map(({ name }) => name),
        ['example.com/a:1.0.0'],
      );
    });
    for (const [argument, message] of [
      ['/abs/file.tar', 'invalid image string "file:///abs/file.tar"'],
      ['https://example.com/app', 'invalid image string "https://example.com/app"'],
      ['example.com/app,channel=beta:1.2', 'invalid appc image string "example.com/app,channel=beta:1.2"'],
      ['example.com/app:1:2', 'invalid appc image string'],
      ['example.com/app,foo', 'invalid appc image string'],
      ['not an app name', 'invalid appc image string "not an app name"'],
      ['cimd:foo:v=0:x', 'unknown distribution type: "foo"'],
    ] as const) {
      it(`refuses ${argument}`, () =>
        rkt.fails(['--debug', INSECURE, 'fetch', argument], message).then(() => undefined));
    }
    it('never takes its argument for a hash', () =>
      rkt
        .fails(
          [INSECURE, '--debug', 'fetch', '--pull-policy=never', 'sha512-0c45e8c0ab2'],
          /unable to fetch.* image from .* "sha512-0c45e8c0ab2"/,
        )
        .then(() => undefined));
    it('refuses app arguments', () =>
      rkt
        .fails([INSECURE, 'fetch', image('a'), '--', 'x'], 'app arguments unsupported')
        .then(() => undefined));
    it('renders top images into the tree store', async function () {
      requires(this, 'root', 'overlayfs');
      await rkt.fetch(image('a'));
      const [tree, ...others] = readdirSync(`${rkt.data}/cas/tree`);
      assert.deepEqual(others, []);
      assert.match(tree ?? '', /^deps-sha512-[0-9a-f]{64}$/);
      assert.deepEqual(readdirSync(`${rkt.data}/cas/tree/${tree}`).sort(), [
        'hash',
        'image',
        'manifest',
        'rendered',
        'rootfs',
      ]);
      assert.match(readFileSync(`${rkt.data}/cas/tree/${tree}/hash`, 'utf8'), /^sha512-[0-9a-f]{64}$/);
      assert.match(readFileSync(`${rkt.data}/cas/tree/${tree}/image`, 'utf8'), /^sha512-[0-9a-f]{64}$/);
    });
    it('leaves the modes of the contract', async () => {
      const key = await rkt.fetch(image('a'));
      const mode = (path: string): string => (statSync(`${rkt.data}/cas/${path}`).mode & 0o7777).toString(8);
      assert.equal(mode('.'), '2770');
      assert.equal(mode('tmp'), '2770');
      assert.equal(mode(`blob/sha512/${key.slice(7, 9)}`), '2770');
      assert.equal(mode(`blob/sha512/${key.slice(7, 9)}/${key}`), '660');
      assert.equal(mode(`imageManifest/sha512/${key.slice(7, 9)}/${key}`), '660');
      assert.deepEqual(readdirSync(`${rkt.data}/cas/tmp`), []);
    });
    it('does not touch a pipe or a directory', async () => {
      mkdirSync(rkt.tmp.join('dir.aci'));
      await rkt.fails([INSECURE, 'fetch', rkt.tmp.join('dir.aci')], /dir\.aci/);
    });
  });

  describe('image list', () => {
    it('prints a header, or nothing but a newline', async () => {
      const { stdout } = await rkt.ok(['image', 'list']);
      assert.deepEqual(stdout.trimEnd().split(/\t+/), ['ID', 'NAME', 'SIZE', 'IMPORT TIME', 'LAST USED']);
      assert.equal((await rkt.ok(['image', 'list', '--no-legend'])).stdout, '\n');
      assert.equal((await rkt.ok(['image', 'list', '--format=json'])).stdout.trim(), 'null');
    });
    it('shows short and full forms', async () => {
      const key = await rkt.fetch(image('a', '1.2.3'));
      const [id, name, size, imported, used] = (await rkt.ok(['image', 'list', '--no-legend'])).stdout
        .trimEnd()
        .split(/\t+/);
      assert.equal(id, key.slice(0, 19));
      assert.equal(name, 'example.com/a:1.2.3');
      assert.match(size ?? '', /^\d+(\.\d)?(B|KiB|MiB)$/);
      assert.match(imported ?? '', /^(now|\d+ seconds? ago)$/);
      assert.match(used ?? '', /^(now|\d+ seconds? ago)$/);
      const full = (await rkt.ok(['image', 'list', '--no-legend', '--full'])).stdout.trimEnd().split(/\t+/);
      assert.equal(full[0], key);
      assert.match(full[2] ?? '', /^\d+$/);
      assert.match(full[3] ?? '', /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,3})? [+-]\d{4} [A-Z]+$/);
    });
    it('aligns columns with tabs', async () => {
      await rkt.fetch(image('a'));
      await rkt.fetch(image('a-much-longer-name'));
      const lines = (await rkt.ok(['image', 'list', '--fields=name,size'])).stdout.split('\n').slice(0, 3);
      // Width of the widest name and one, rounded up to eight.
      const width = Math.ceil(('example.com/a-much-longer-name:1.0.0'.length + 1) / 8) * 8;
      for (const line of lines) {
        const [name = '', tabs = ''] = /^([^\t]*)(\t+)/.exec(line)?.slice(1) ?? [];
        assert.equal(tabs.length, Math.max(1, Math.ceil((width - name.length) / 8)), JSON.stringify(line));
      }
    });
    it('takes fields in their order, refuses others', async () => {
      await rkt.fetch(image('a'));
      const { stdout } = await rkt.ok(['image', 'list', '--fields=Size,ID']);
      assert.match(stdout, /^SIZE\t+ID\n/);
      for (const fields of ['id,id', 'latest', '']) {
        if (fields !== '') await rkt.fails(['image', 'list', `--fields=${fields}`], 'invalid argument');
      }
      await rkt.fails(['image', 'list', '--sort=id'], 'invalid argument');
      await rkt.fails(['image', 'list', '--order=up'], 'wrong sort order');
      await rkt.fails(['image', 'list', '--format=xml'], 'nvalid');
    });
    it('sorts', async () => {
      for (const name of ['b', 'c', 'a']) await rkt.fetch(image(name));
      const names = async (...flags: readonly string[]): Promise<string[]> =>
        (await rkt.ok(['image', 'list', '--no-legend', '--fields=name', ...flags])).stdout
          .trim()
          .split('\n')
          .map((line) => line.slice(12, 13));
      assert.deepEqual(await names(), ['b', 'c', 'a']);
      assert.deepEqual(await names('--order=desc'), ['a', 'c', 'b']);
      assert.deepEqual(await names('--sort=name'), ['a', 'b', 'c']);
      assert.deepEqual(await names('--sort=name', '--order=desc'), ['c', 'b', 'a']);
    });
    it('prints JSON with nanoseconds', async () => {
      const key = await rkt.fetch(image('a'));
      const { stdout } = await rkt.ok(['image', 'list', '--format=json', '--fields=id']);
      assert.match(stdout, /^\[\{"id":"/);
      const [row] = JSON.parse(stdout) as Row[];
      assert.deepEqual(Object.keys(row ?? {}), ['id', 'name', 'import_time', 'last_used_time', 'size']);
      assert.equal(row?.id, key);
      assert.ok(Math.abs((row?.import_time ?? 0) / 1e6 - Date.now()) < 60_000);
      const pretty = await rkt.ok(['image', 'list', '--format=json-pretty']);
      assert.match(pretty.stdout, /^\[\n\t\{\n\t\t"id": "sha512-/);
    });
    it('tells of broken manifests and goes on', async () => {
      const [a] = [await rkt.fetch(image('a')), await rkt.fetch(image('b'))];
      writeFileSync(`${rkt.data}/cas/imageManifest/sha512/${a.slice(7, 9)}/${a}`, '{"acKind":"x"}');
      const result = await rkt.ok(['image', 'list', '--no-legend']);
      assert.match(result.stdout, /example\.com\/b/);
      assert.doesNotMatch(result.stdout, /example\.com\/a/);
      assert.match(result.stderr, /^list: 1 error\(s\) encountered when listing images:/m);
      assert.match(result.stderr, new RegExp(a));
      assert.match(result.stderr, /rkt's appc version: 0\.8\.11/);
    });
  });

  describe('resolving ids and names', () => {
    it('takes prefixes, full hashes and names', async () => {
      const path = image('a');
      const key = await rkt.fetch(path);
      const { id } = imageIds(readFileSync(path));
      for (const argument of [
        key,
        id,
        key.slice(0, 9),
        key.slice(0, 39),
        'example.com/a',
        'example.com/a:1.0.0',
        'example.com/a,os=linux',
      ]) {
        await rkt.ok(['image', 'cat-manifest', argument]);
      }
    });
    it('explains what it cannot resolve', async () => {
      await rkt.fetch(image('a'));
      await rkt.fails(['image', 'cat-manifest', 'sha512-1'], 'image ID too short');
      await rkt.fails(['image', 'cat-manifest', `sha512-${'0'.repeat(64)}`], 'no image IDs found');
      await rkt.fails(
        ['image', 'cat-manifest', 'example.com/none'],
        'cannot find aci satisfying name: "example.com/none"',
      );
      await rkt.fails(
        ['image', 'cat-manifest', 'example.com/a:9'],
        'cannot find aci satisfying name: "example.com/a" and labels: [{"version" "9"}]',
      );
      await rkt.fails(['image', 'cat-manifest', 'sha512-not-existed'], /./);
      await rkt.fails(['image', 'cat-manifest', 'some~random~aci~name'], /./);
    });
    it('refuses ambiguous prefixes', async () => {
      // Two keys share their first two digits soon enough among 40 tiny images; 256 values, so nearly always.
      const keys = new Map<string, string>();
      for (let index = 0; index < 400; index += 1) {
        const description = { manifest: imageManifest({ name: `example.com/n${index}` }), files: [] };
        const { key } = buildAci(description);
        const twin = keys.get(key.slice(0, 9));
        if (twin !== undefined) {
          await rkt.fetch(writeImage(rkt, description));
          await rkt.fetch(twin);
          await rkt.fails(['image', 'cat-manifest', key.slice(0, 9)], 'ambiguous image ID');
          await rkt.ok(['image', 'cat-manifest', key]);
          return;
        }
        keys.set(key.slice(0, 9), writeImage(rkt, description));
      }
      assert.fail('no two keys with one prefix');
    });
    it('prefers the latest import among equals', async () => {
      const [first] = [
        await rkt.fetch(image('a', '1.0.0')),
        await rkt.fetch(image('a', '3.0.0')),
        await rkt.fetch(image('a', '2.0.0')),
      ];
      const { stdout } = await rkt.ok(['image', 'cat-manifest', 'example.com/a']);
      assert.match(stdout, /"2\.0\.0"/);
      await rkt.ok([INSECURE, 'fetch', image('a', '1.0.0')]);
      assert.match((await rkt.ok(['image', 'cat-manifest', 'example.com/a'])).stdout, /"1\.0\.0"/);
      assert.equal((await rows()).filter(({ id }) => id === first).length, 1);
    });
  });

  describe('image cat-manifest', () => {
    it('prints the manifest as it is stored', async () => {
      const manifest = imageManifest({
        name: 'example.com/a',
        exec: ['/bin/x', '<&>'],
        app: { environment: [{ name: 'A', value: '1' }] },
      });
      const key = await rkt.fetch(writeImage(rkt, { manifest }));
      const compact = (await rkt.ok(['image', 'cat-manifest', '--pretty-print=false', key])).stdout;
      assert.equal(compact.trimEnd().split('\n').length, 1);
      assert.ok(compact.includes(String.raw`\u003c\u0026\u003e`));
      assert.deepEqual(
        JSON.parse(compact),
        JSON.parse((await rkt.ok(['image', 'cat-manifest', key])).stdout),
      );
      assert.match(
        (await rkt.ok(['image', 'cat-manifest', key])).stdout,
        /^\{\n\t"acKind": "ImageManifest",\n\t"acVersion": "0\.8\.11",\n\t"name"/,
      );
    });
  });

  describe('image export', () => {
    it('gives back the same archive and does not overwrite', async () => {
      const path = writeImage(rkt, { manifest: imageManifest(), files: FILES, compression: 'gzip' });
      const key = await rkt.fetch(path);
      const out = rkt.tmp.join('out.aci');
      await rkt.ok(['image', 'export', key, out]);
      assert.equal(imageIds(readFileSync(out)).key, key);
      assert.equal(statSync(out).mode & 0o777, 0o644);
      await rkt.fails(['image', 'export', key, out], 'output ACI file exists (try --overwrite)');
      writeFileSync(out, 'x'.repeat(1 << 20));
      await rkt.ok(['image', 'export', '--overwrite', key, out]);
      assert.equal(imageIds(readFileSync(out)).key, key);
      await rkt.fails(['image', 'export', 'example.com/none', rkt.tmp.join('none.aci')], /./);
      assert.equal(existsSync(rkt.tmp.join('none.aci')), false);
    });
  });

  describe('image extract and render', () => {
    before(function () {
      requires(this, 'root');
    });
    for (const verb of ['extract', 'render']) {
      it(`${verb} unpacks manifest and rootfs`, async () => {
        const key = await rkt.fetch(writeImage(rkt, { manifest: imageManifest(), files: FILES }));
        const out = rkt.tmp.join('out');
        await rkt.ok(['image', verb, key, out]);
        assert.deepEqual(readdirSync(out).sort(), ['manifest', 'rootfs']);
        assert.equal(
          (JSON.parse(readFileSync(`${out}/manifest`, 'utf8')) as { acKind: string }).acKind,
          'ImageManifest',
        );
        assert.equal(readFileSync(`${out}/rootfs/etc/conf`, 'utf8'), 'setting\n');
        assert.equal(statSync(`${out}/rootfs/etc/conf`).mode & 0o7777, 0o640);
        assert.equal(statSync(`${out}/rootfs/etc`).mode & 0o7777, 0o750);
        assert.equal(readlinkSync(`${out}/rootfs/bin/alias`), '/bin/run');
        assert.equal(statSync(`${out}/rootfs/bin/hard`).ino, statSync(`${out}/rootfs/bin/run`).ino);
        await rkt.fails(['image', verb, key, out], 'output directory exists (try --overwrite)');
        writeFileSync(`${out}/old`, '');
        await rkt.ok(['image', verb, '--overwrite', '--rootfs-only', key, out]);
        assert.deepEqual(readdirSync(out).sort(), ['bin', 'etc']);
        await rkt.fails(['image', verb, '--overwrite', key, '/'], /./);
        assert.ok(existsSync('/bin'));
        await rkt.fails(['image', verb, 'example.com/none', rkt.tmp.join('none')], /./);
        assert.equal(existsSync(rkt.tmp.join('none')), false);
      });
    }
    it('only render applies dependencies and whitelists', async () => {
      const base = imageManifest({ name: 'example.com/base' });
      await rkt.fetch(
        writeImage(rkt, {
          manifest: base,
          files: [
            { path: 'base', content: 'b' },
            { path: 'both', content: 'base' },
            { path: 'etc/' },
            { path: 'etc/x', content: 'x' },
          ],
        }),
      );
      const top = imageManifest({
        name: 'example.com/top',
        dependencies: [{ imageName: 'example.com/base' }],
      });
      const key = await rkt.fetch(
        writeImage(rkt, {
          manifest: top,
          files: [
            { path: 'both', content: 'top' },
            { path: 'etc', content: 'file' },
          ],
        }),
      );
      await rkt.ok(['image', 'extract', '--rootfs-only', key, rkt.tmp.join('extracted')]);
      assert.deepEqual(readdirSync(rkt.tmp.join('extracted')).sort(), ['both', 'etc']);
      await rkt.ok(['image', 'render', '--rootfs-only', key, rkt.tmp.join('rendered')]);
      assert.deepEqual(readdirSync(rkt.tmp.join('rendered')).sort(), ['base', 'both', 'etc']);
      assert.equal(readFileSync(rkt.tmp.join('rendered/both'), 'utf8'), 'top');
      assert.ok(statSync(rkt.tmp.join('rendered/etc')).isFile());
      const white = imageManifest({
        name: 'example.com/white',
        dependencies: [{ imageName: 'example.com/base' }],
        pathWhitelist: ['/both', '/own'],
      });
      const whiteKey = await rkt.fetch(
        writeImage(rkt, {
          manifest: white,
          files: [
            { path: 'own', content: 'o' },
            { path: 'hidden', content: 'h' },
          ],
        }),
      );
      await rkt.ok(['image', 'render', '--rootfs-only', whiteKey, rkt.tmp.join('white')]);
      assert.deepEqual(readdirSync(rkt.tmp.join('white')).sort(), ['both', 'own']);
    });
    it('order dependencies and whitelists as the contract walks them', async () => {
      const file = (name: string): AciFile => ({ path: name, content: name });
      const dependency = (name: string): object => ({ imageName: `example.com/${name}` });
      const put = (
        name: string,
        files: readonly string[],
        options: { deps?: readonly string[]; white?: readonly string[] } = {},
      ): Promise<string> =>
        rkt.fetch(
          writeImage(rkt, {
            manifest: imageManifest({
              name: `example.com/${name}`,
              ...(options.deps === undefined
                ? {}
                : { dependencies: options.deps.map((each) => ({ ...dependency(each) })) }),
              ...(options.white === undefined ? {} : { pathWhitelist: options.white }),
            }),
            files: files.map(file),
          }),
        );
      await put('d', ['d', 'e']);
      await put('b', ['b', 'x']);
      await put('c', ['c', 'x'], { deps: ['d'], white: ['/c', '/d'] });
      const key = await put('a', ['a'], { deps: ['b', 'c'] });
      await rkt.ok(['image', 'render', '--rootfs-only', key, rkt.tmp.join('out')]);
      assert.deepEqual(readdirSync(rkt.tmp.join('out')).sort(), ['a', 'c', 'd']);
    });
    it('keep owners, devices, times and attributes', async () => {
      const files: AciFile[] = [
        { path: 'null', type: 'char', major: 1, minor: 3, mode: 0o666 },
        { path: 'loop', type: 'block', major: 7, minor: 0, mode: 0o660, gid: 6 },
        { path: 'pipe', type: 'fifo', mode: 0o600 },
        { path: 'suid', mode: 0o4755, uid: 1, gid: 2 },
        { path: 'sticky/', mode: 0o1777, mtime: 1_000_000 },
        { path: 'sticky/in', mtime: 1_234_567_890.123456789 },
        { path: 'exact', mtime: '1234567890.987654321' },
        { path: 'old', mtime: '-100' },
        { path: 'link', type: 'symlink', linkname: 'dangling', uid: 7, gid: 8, mtime: 5000 },
        { path: 'sparse', sparse: { size: 10_000_000, data: [{ offset: 4096, content: 'x' }] } },
        { path: 'ids', uid: 3_000_000_000, gid: 70_000 },
        { path: `long/${'a'.repeat(200)}/${'b'.repeat(200)}`, content: 'long' },
        { path: 'a:b,c\\d "e\'\tf', content: 'odd' },
        { path: 'öß', content: 'u' },
        { path: 'attr', xattrs: { 'user.a': 'b' } },
      ];
      const key = await rkt.fetch(writeImage(rkt, { manifest: imageManifest(), files }));
      await rkt.ok(['image', 'render', '--rootfs-only', key, rkt.tmp.join('out')]);
      const stat = (name: string): ReturnType<typeof lstatSync> & object =>
        lstatSync(rkt.tmp.join('out', name));
      const exact = (name: string): bigint => lstatSync(rkt.tmp.join('out', name), { bigint: true }).mtimeNs;
      assert.ok(stat('null').isCharacterDevice());
      assert.equal(stat('null').rdev, 0x103);
      assert.ok(stat('loop').isBlockDevice());
      assert.ok(stat('pipe').isFIFO());
      assert.deepEqual(
        [Number(stat('suid').mode) & 0o7777, stat('suid').uid, stat('suid').gid],
        [0o4755, 1, 2],
      );
      assert.equal(Number(stat('sticky').mode) & 0o7777, 0o1777);
      assert.equal(exact('sticky'), 1_000_000n * 1_000_000_000n);
      assert.equal(exact('exact'), 1_234_567_890_987_654_321n);
      assert.equal(exact('link'), 5000n * 1_000_000_000n);
      assert.deepEqual([stat('link').uid, stat('link').gid], [7, 8]);
      assert.deepEqual([stat('ids').uid, stat('ids').gid], [3_000_000_000, 70_000]);
      assert.equal(stat('sparse').size, 10_000_000);
      assert.ok(Number(stat('sparse').blocks) * 512 < 1_000_000, 'holes stay holes');
      assert.equal(readFileSync(rkt.tmp.join('out', files[11]?.path ?? ''), 'utf8'), 'long');
      assert.equal(readFileSync(rkt.tmp.join('out', 'a:b,c\\d "e\'\tf'), 'utf8'), 'odd');
    });
  });

  describe('image verify', () => {
    before(function () {
      requires(this, 'root', 'overlayfs');
    });
    const tree = (): string => `${rkt.data}/cas/tree/${readdirSync(`${rkt.data}/cas/tree`)[0] ?? ''}`;

    it('finds every change and repairs it', async () => {
      const key = await rkt.fetch(writeImage(rkt, { manifest: imageManifest(), files: FILES }));
      const { stdout } = await rkt.ok(['image', 'verify', key]);
      assert.equal(stdout, `successfully verified checksum for image: "${key}" ("${key}")\n`);
      const root = `${tree()}/rootfs`;
      for (const [what, damage] of Object.entries({
        content: () => writeFileSync(`${root}/etc/conf`, 'settinh\n'),
        mode: () => chmodSync(`${root}/etc/conf`, 0o644),
        extra: () => writeFileSync(`${root}/extra`, ''),
        missing: () => rmSync(`${root}/bin/alias`),
      })) {
        damage();
        const result = await rkt.ok(['image', 'verify', 'example.com/test']);
        assert.match(
          result.stdout,
          /^tree cache verification failed for image example\.com\/test: .*; {2}rebuilding\.\.\.$/m,
          what,
        );
        assert.match((await rkt.ok(['image', 'verify', key])).stdout, /^successfully verified checksum/);
      }
    });
    it('says when there is no tree', async () => {
      const key = await rkt.fetch(image('a'));
      rmSync(tree(), { recursive: true });
      const { stdout } = await rkt.ok(['image', 'verify', key]);
      assert.equal(stdout, `image "${key}" not rendered; no verification needed\n`);
    });
    it('is done by render too', async () => {
      const key = await rkt.fetch(writeImage(rkt, { manifest: imageManifest(), files: FILES }));
      writeFileSync(`${tree()}/rootfs/etc/conf`, 'evil');
      const result = await rkt.ok(['image', 'render', key, rkt.tmp.join('out')]);
      assert.match(result.output, /tree cache is in a bad state/);
      assert.equal(readFileSync(rkt.tmp.join('out/rootfs/etc/conf'), 'utf8'), 'setting\n');
    });
  });

  describe('image rm', () => {
    it('removes images once, whatever they are called', async () => {
      const [a, b] = [await rkt.fetch(image('a')), await rkt.fetch(image('b'))];
      const result = await rkt.ok(['image', 'rm', a, 'example.com/a', a.slice(0, 30)]);
      assert.equal(result.stdout, `successfully removed aci for image: "${a}"\n`);
      assert.match(result.stderr, /^rm: 1 image\(s\) successfully removed$/m);
      assert.deepEqual(
        (await rows()).map(({ id }) => id),
        [b],
      );
      assert.equal(existsSync(`${rkt.data}/cas/blob/sha512/${a.slice(7, 9)}/${a}`), false);
    });
    it('goes on behind what it cannot resolve', async () => {
      const key = await rkt.fetch(image('a'));
      const result = await rkt.ok(['image', 'rm', 'sha512-1', 'example.com/none', key]);
      assert.match(result.output, /image ID too short/);
      assert.deepEqual(await rows(), []);
    });
  });

  describe('image gc', () => {
    before(function () {
      requires(this, 'root');
    });
    it('works on an empty data directory', () => rkt.ok(['image', 'gc']).then(() => undefined));
    it('removes trees nobody uses, and images only after their time', async function () {
      requires(this, 'overlayfs');
      const key = await rkt.fetch(image('a'));
      const result = await rkt.ok(['image', 'gc']);
      assert.match(result.stderr, /removed treestore "deps-sha512-[0-9a-f]{64}"/);
      assert.deepEqual(readdirSync(`${rkt.data}/cas/tree`), []);
      assert.deepEqual(
        (await rows()).map(({ id }) => id),
        [key],
      );
      await rkt.ok(['image', 'gc', '--grace-period=0s']);
      assert.deepEqual(await rows(), []);
    });
  });

  describe('without root', () => {
    it('cannot do what it may not', async function () {
      requires(this, 'root');
      await rkt.fetch(image('a'));
      const result = await rkt.run(['image', 'gc'], { uid: 65534, gid: 65534 });
      assert.equal(result.status, FAILURE);
      assert.match(result.output, /permission denied/);
    });
  });
});
