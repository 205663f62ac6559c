// The pod's file system as the project's first document draws it, made by that document's own command
// (contract stage0 9.1).

import assert from 'node:assert/strict';
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';

import { forEachFlavour, lines } from '../lib/flavours.ts';
import { shellImage, stubFlag } from '../lib/images.ts';
import { requires } from '../lib/requires.ts';
import { expectStatus, INSECURE } from '../lib/rkt.ts';
import { suite } from '../lib/suite.ts';

suite('the seed document', ['root', 'busybox'], (the) => {
  const LISTING = ['pod', 'stage1', 'stage1/manifest', 'stage1/rootfs/init', 'stage1/rootfs/opt'];

  /** Checks every path of the listing in a pod directory that stage1 was given. */
  const check = (pod: string, keys: readonly string[], init = 'stage1/rootfs/init'): void => {
    for (const name of LISTING) {
      const path = `${pod}/${name === 'stage1/rootfs/init' ? init : name}`;
      assert.ok(existsSync(path), path);
    }
    const manifest = JSON.parse(readFileSync(`${pod}/pod`, 'utf8')) as {
      acKind: string;
      apps: { name: string; image: { id: string } }[];
    };
    assert.equal(manifest.acKind, 'PodManifest');
    assert.equal(
      (JSON.parse(readFileSync(`${pod}/stage1/manifest`, 'utf8')) as { acKind: string }).acKind,
      'ImageManifest',
    );
    assert.ok(statSync(`${pod}/${init}`).mode & 0o111, 'init is a program');
    for (const key of keys) {
      const link = `${pod}/stage1/rootfs/opt/stage2/${key.slice(0, 'sha512-'.length + 32)}`;
      assert.ok(lstatSync(link).isSymbolicLink(), link);
      const target = readlinkSync(link);
      assert.ok(!target.startsWith('/') && !target.includes('..'), target);
      assert.equal(manifest.apps.find(({ name }) => name === target)?.image.id, key);
      assert.ok(statSync(`${link}/rootfs/bin`).isDirectory());
      assert.ok(existsSync(`${link}/manifest`));
    }
  };

  forEachFlavour(['severalApps'], (flavour) => {
    it('is honoured by `rkt run HASH HASH`', async () => {
      const images = ['one', 'two'].map((name) =>
        shellImage(the.rkt, `echo ${name} is up; sleep 100`, { name: `example.com/${name}` }),
      );
      const keys: string[] = [];
      for (const image of images) keys.push(await the.rkt.fetch(image));
      const hashes = keys.map((key) => key.slice(0, 39));
      const running = the.rkt.start(['run', ...flavour.net, ...hashes], {
        env: { RKT_STAGE1_IMAGE: flavour.image },
      });
      await running.waitFor('one is up');
      await running.waitFor('two is up');
      const [uuid = ''] = the.rkt.podsIn('run');
      check(the.rkt.podDir(uuid), keys);
      assert.equal(readdirSync(`${the.rkt.podDir(uuid)}/stage1/rootfs/opt/stage2`).length, 4);
      await the.rkt.ok(['stop', uuid]);
      expectStatus(await running.ended, 0);
    });
  });

  for (const overlay of [true, false]) {
    it(`is complete before stage1 starts, ${overlay ? 'with' : 'without'} overlay`, async function () {
      if (overlay) requires(this, 'overlayfs');
      const copy = the.rkt.tmp.join(`seen-${overlay}`);
      // The stub looks at its own directory at the moment the document speaks of.
      const flag = stubFlag(the.rkt, { run: `cp -a "$(pwd)" ${copy}` });
      const image = shellImage(the.rkt, 'true', { name: 'example.com/seed' });
      const key = await the.rkt.fetch(image);
      await the.rkt.ok([INSECURE, 'run', '--net=none', ...(overlay ? [] : ['--no-overlay']), flag, key]);
      check(copy, [key], 'stage1/rootfs/run');
    });
  }

  it('lets one image be two apps', async () => {
    const seen = the.rkt.tmp.join('twice');
    const flag = stubFlag(the.rkt, { run: `ls stage1/rootfs/opt/stage2 > ${seen}` });
    const key = await the.rkt.fetch(shellImage(the.rkt, 'true', { name: 'example.com/twice' }));
    await the.rkt.ok([INSECURE, 'run', '--net=none', flag, key, '--name=a', key, '--name=b']);
    assert.deepEqual(lines(readFileSync(seen, 'utf8')).sort(), ['a', 'b', key.slice(0, 39)].sort());
  });
});
