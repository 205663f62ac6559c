// Rules of volumes that need more than one mount to see: who sees whose mounts, what may be a source, what is refused
// (contract stage1 2.23, 3).

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { MNT_DETACH, MS_SHARED } from '@rkt/linux/constants';
import { openKernel } from '@rkt/linux/libc';
import { inspectFiles, inspectManifest } from '@rkt/testkit/inspect';

import { mountPoints } from '../lib/cleanup.ts';
import { forEachFlavour } from '../lib/flavours.ts';
import { inspectImage, writeImage } from '../lib/images.ts';
import { expectStatus } from '../lib/rkt.ts';
import { suite } from '../lib/suite.ts';

suite('rules of volumes', ['root', 'busybox'], (the) => {
  let image = '';
  let host = '';
  before(() => {
    image = inspectImage(the.rkt);
    host = the.rkt.tmp.join('host');
    mkdirSync(host);
    writeFileSync(join(host, 'file'), 'host file');
    symlinkSync(host, the.rkt.tmp.join('link'));
  });

  forEachFlavour([], (flavour) => {
    it('mounts of the host reach the pod, mounts of the pod stay in it', async () => {
      const kernel = openKernel();
      const shared = the.rkt.tmp.join(`shared-${flavour.name}`);
      mkdirSync(shared);
      kernel.mount('none', shared, 'tmpfs', 0, null);
      kernel.mount(null, shared, null, MS_SHARED, null);
      mkdirSync(join(shared, 'later'));
      mkdirSync(join(shared, 'mine'));
      try {
        const script =
          'mount -t tmpfs none /v/mine && echo mounted; n=0; while [ ! -e /v/later/here ] && [ $n -lt 300 ]; do n=$((n+1)); sleep 0.1; done; ls /v/later';
        const pod = the.rkt.start([
          '--insecure-options=image,capabilities,seccomp,paths',
          'run',
          ...flavour.stage1,
          ...flavour.net,
          `--volume=v,kind=host,source=${shared},recursive=true`,
          '--mount=volume=v,target=/v',
          image,
          '--exec=/bin/sh',
          '--',
          '-c',
          script,
        ]);
        await pod.waitFor(/mounted/);
        assert.ok(!mountPoints().includes(join(shared, 'mine')));
        kernel.mount('none', join(shared, 'later'), 'tmpfs', 0, null);
        writeFileSync(join(shared, 'later/here'), '');
        const result = expectStatus(await pod.ended, 0);
        assert.deepEqual(flavour.linesOf(result), ['mounted', 'here']);
        await the.rkt.sweep();
      } finally {
        kernel.umount2(shared, MNT_DETACH);
      }
    });

    it('sources may be links, also to be mounted over a link', async () => {
      const result = await the.rkt.ok(
        flavour.run(
          `--volume=v,kind=host,source=${the.rkt.tmp.join('link')}`,
          '--mount=volume=v,target=/dir1/link_rel_dir2',
          image,
          '--',
          '--list-dir=/dir2',
        ),
      );
      assert.deepEqual(flavour.linesOf(result), ['file']);
    });

    it('what is missing for a target is made, open to all, and nothing on the host', async () => {
      const result = await the.rkt.ok(
        flavour.run(
          `--volume=v,kind=host,source=${join(host, 'file')}`,
          '--mount=volume=v,target=/new/deep/file',
          image,
          '--exec=/bin/sh',
          '--',
          '-c',
          'stat -c "%a %u %g" /new /new/deep; cat /new/deep/file',
        ),
      );
      assert.deepEqual(flavour.linesOf(result), ['755 0 0', '755 0 0', 'host file']);
      assert.equal(readFileSync(join(host, 'file'), 'utf8'), 'host file');
    });

    it('a link that leads to itself is no target', async () => {
      const looped = writeImage(the.rkt, {
        manifest: inspectManifest(),
        files: [...inspectFiles(), { path: 'loop', type: 'symlink', linkname: '/loop' }],
      });
      await the.rkt.fails(
        flavour.run(`--volume=v,kind=host,source=${host}`, '--mount=volume=v,target=/loop/x', looped),
        /too many|link|ELOOP/,
      );
    });

    it('a mount without a volume is refused', async () => {
      const key = await the.rkt.fetch(image);
      const file = the.rkt.tmp.join('pod.json');
      const app = { name: 'a', image: { id: key }, mounts: [{ volume: 'nothing', path: '/x' }] };
      writeFileSync(
        file,
        JSON.stringify({ acVersion: '0.8.11', acKind: 'PodManifest', apps: [app], volumes: [] }),
      );
      await the.rkt.fails(flavour.run(`--pod-manifest=${file}`), 'could not find volume "nothing"');
    });
  });
});
