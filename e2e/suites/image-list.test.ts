// `rkt image list` and how images are found by id and name (contract stage0 7.2, 7.3, 7.8).

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';

import { buildAci, imageIds } from '@rkt/testkit/aci-builder';
import { imageManifest } from '@rkt/testkit/manifests';

import type { ImageRow } from '../lib/fixtures.ts';
import { storeSuite } from '../lib/fixtures.ts';
import { writeImage } from '../lib/images.ts';
import { INSECURE } from '../lib/rkt.ts';

storeSuite('list of images', [], (the) => {
  describe('image list', () => {
    it('prints a header, or nothing but a newline', async () => {
      const { stdout } = await the.rkt.ok(['image', 'list']);
      assert.deepEqual(stdout.trimEnd().split(/\t+/), ['ID', 'NAME', 'SIZE', 'IMPORT TIME', 'LAST USED']);
      assert.equal((await the.rkt.ok(['image', 'list', '--no-legend'])).stdout, '\n');
      assert.equal((await the.rkt.ok(['image', 'list', '--format=json'])).stdout.trim(), 'null');
    });
    it('shows short and full forms', async () => {
      const key = await the.rkt.fetch(the.image('a', '1.2.3'));
      const [id, name, size, imported, used] = (await the.rkt.ok(['image', 'list', '--no-legend'])).stdout
        .trimEnd()
        .split(/\t+/);
      assert.equal(id, key.slice(0, 19));
      assert.equal(name, 'example.com/a:1.2.3');
      assert.match(size ?? '', /^\d+(\.\d)?(B|KiB|MiB)$/);
      assert.match(imported ?? '', /^(now|\d+ seconds? ago)$/);
      assert.match(used ?? '', /^(now|\d+ seconds? ago)$/);
      const full = (await the.rkt.ok(['image', 'list', '--no-legend', '--full'])).stdout
        .trimEnd()
        .split(/\t+/);
      assert.equal(full[0], key);
      assert.match(full[2] ?? '', /^\d+$/);
      assert.match(full[3] ?? '', /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,3})? [+-]\d{4} [A-Z]+$/);
    });
    it('aligns columns with tabs', async () => {
      await the.rkt.fetch(the.image('a'));
      await the.rkt.fetch(the.image('a-much-longer-name'));
      const lines = (await the.rkt.ok(['image', 'list', '--fields=name,size'])).stdout
        .split('\n')
        .slice(0, 3);
      // Width of the widest name and one, rounded up to eight.
      const width = Math.ceil(('example.com/a-much-longer-name:1.0.0'.length + 1) / 8) * 8;
      for (const line of lines) {
        const [name = '', tabs = ''] = /^([^\t]*)(\t+)/.exec(line)?.slice(1) ?? [];
        assert.equal(tabs.length, Math.max(1, Math.ceil((width - name.length) / 8)), JSON.stringify(line));
      }
    });
    it('takes fields in their order, refuses others', async () => {
      await the.rkt.fetch(the.image('a'));
      const { stdout } = await the.rkt.ok(['image', 'list', '--fields=Size,ID']);
      assert.match(stdout, /^SIZE\t+ID\n/);
      for (const fields of ['id,id', 'latest', '']) {
        if (fields !== '') await the.rkt.fails(['image', 'list', `--fields=${fields}`], 'invalid argument');
      }
      await the.rkt.fails(['image', 'list', '--sort=id'], 'invalid argument');
      await the.rkt.fails(['image', 'list', '--order=up'], 'wrong sort order');
      await the.rkt.fails(['image', 'list', '--format=xml'], 'nvalid');
    });
    it('sorts', async () => {
      for (const name of ['b', 'c', 'a']) await the.rkt.fetch(the.image(name));
      const names = async (...flags: readonly string[]): Promise<string[]> =>
        (await the.rkt.ok(['image', 'list', '--no-legend', '--fields=name', ...flags])).stdout
          .trim()
          .split('\n')
          .map((line) => line.slice(12, 13));
      assert.deepEqual(await names(), ['b', 'c', 'a']);
      assert.deepEqual(await names('--order=desc'), ['a', 'c', 'b']);
      assert.deepEqual(await names('--sort=name'), ['a', 'b', 'c']);
      assert.deepEqual(await names('--sort=name', '--order=desc'), ['c', 'b', 'a']);
    });
    it('prints JSON with nanoseconds', async () => {
      const key = await the.rkt.fetch(the.image('a'));
      const { stdout } = await the.rkt.ok(['image', 'list', '--format=json', '--fields=id']);
      assert.match(stdout, /^\[\{"id":"/);
      const [row] = JSON.parse(stdout) as ImageRow[];
      assert.deepEqual(Object.keys(row ?? {}), ['id', 'name', 'import_time', 'last_used_time', 'size']);
      assert.equal(row?.id, key);
      assert.ok(Math.abs((row?.import_time ?? 0) / 1e6 - Date.now()) < 60_000);
      const pretty = await the.rkt.ok(['image', 'list', '--format=json-pretty']);
      assert.match(pretty.stdout, /^\[\n\t\{\n\t\t"id": "sha512-/);
    });
    it('tells of broken manifests and goes on', async () => {
      const [a] = [await the.rkt.fetch(the.image('a')), await the.rkt.fetch(the.image('b'))];
      writeFileSync(`${the.rkt.data}/cas/imageManifest/sha512/${a.slice(7, 9)}/${a}`, '{"acKind":"x"}');
      const result = await the.rkt.ok(['image', 'list', '--no-legend']);
      assert.match(result.stdout, /example\.com\/b/);
      assert.doesNotMatch(result.stdout, /example\.com\/a/);
      assert.match(result.stderr, /^list: 1 error\(s\) encountered when listing images:/m);
      assert.match(result.stderr, new RegExp(a));
      assert.match(result.stderr, /rkt's appc version: 0\.8\.11/);
    });
  });

  describe('resolving ids and names', () => {
    it('takes prefixes, full hashes and names', async () => {
      const path = the.image('a');
      const key = await the.rkt.fetch(path);
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
        await the.rkt.ok(['image', 'cat-manifest', argument]);
      }
    });
    it('explains what it cannot resolve', async () => {
      await the.rkt.fetch(the.image('a'));
      await the.rkt.fails(['image', 'cat-manifest', 'sha512-1'], 'image ID too short');
      await the.rkt.fails(['image', 'cat-manifest', `sha512-${'0'.repeat(64)}`], 'no image IDs found');
      await the.rkt.fails(
        ['image', 'cat-manifest', 'example.com/none'],
        'cannot find aci satisfying name: "example.com/none"',
      );
      await the.rkt.fails(
        ['image', 'cat-manifest', 'example.com/a:9'],
        'cannot find aci satisfying name: "example.com/a" and labels: [{"version" "9"}]',
      );
      await the.rkt.fails(['image', 'cat-manifest', 'sha512-not-existed'], /./);
      await the.rkt.fails(['image', 'cat-manifest', 'some~random~aci~name'], /./);
    });
    it('refuses ambiguous prefixes', async () => {
      // Two keys share their first two digits soon enough among 40 tiny images; 256 values, so nearly always.
      const keys = new Map<string, string>();
      for (let index = 0; index < 400; index += 1) {
        const description = { manifest: imageManifest({ name: `example.com/n${index}` }), files: [] };
        const { key } = buildAci(description);
        const twin = keys.get(key.slice(0, 9));
        if (twin !== undefined) {
          await the.rkt.fetch(writeImage(the.rkt, description));
          await the.rkt.fetch(twin);
          await the.rkt.fails(['image', 'cat-manifest', key.slice(0, 9)], 'ambiguous image ID');
          await the.rkt.ok(['image', 'cat-manifest', key]);
          return;
        }
        keys.set(key.slice(0, 9), writeImage(the.rkt, description));
      }
      assert.fail('no two keys with one prefix');
    });
    it('prefers the latest import among equals', async () => {
      const [first] = [
        await the.rkt.fetch(the.image('a', '1.0.0')),
        await the.rkt.fetch(the.image('a', '3.0.0')),
        await the.rkt.fetch(the.image('a', '2.0.0')),
      ];
      const { stdout } = await the.rkt.ok(['image', 'cat-manifest', 'example.com/a']);
      assert.match(stdout, /"2\.0\.0"/);
      await the.rkt.ok([INSECURE, 'fetch', the.image('a', '1.0.0')]);
      assert.match((await the.rkt.ok(['image', 'cat-manifest', 'example.com/a'])).stdout, /"1\.0\.0"/);
      assert.equal((await the.rows()).filter(({ id }) => id === first).length, 1);
    });
  });
});
