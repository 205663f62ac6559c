// Which program an app is, what it is given as arguments, and why it cannot be started (contract stage1 2.6, 2.7, 2.9).

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

import { inspectFiles, inspectManifest } from '@rkt/testkit/inspect';

import { forEachFlavour } from '../lib/flavours.ts';
import { inspectImage, writeImage } from '../lib/images.ts';
import { expectStatus } from '../lib/rkt.ts';
import { suite } from '../lib/suite.ts';

suite('programs of apps', ['root', 'busybox'], (the) => {
  forEachFlavour([], (flavour) => {
    it('get their arguments to the letter', async () => {
      const words = [
        'a b',
        '',
        "it's",
        '"q"',
        '$HOME ${HOME} $$',
        '%n %%',
        'back\\slash\\',
        'line\nline',
        '\ttab',
        'é\u0001',
      ];
      const script = 'printf "%s\\0" "$@" | base64 | tr -d "\\n"';
      // In the image: on the command line empty words are none (contract stage0 1.4).
      const own = writeImage(the.rkt, {
        manifest: inspectManifest([], { exec: ['/bin/sh', '-c', script, 'sh', ...words] }),
        files: inspectFiles(),
      });
      const result = await the.rkt.ok(flavour.run(own, '--', 'last one'));
      const said = Buffer.from(flavour.linesOf(result).join(''), 'base64').toString();
      assert.deepEqual(said.split('\0').slice(0, -1), [...words, 'last one']);
    });

    it('may have $ and % in their own names', async () => {
      const odd = writeImage(the.rkt, {
        manifest: inspectManifest([], { exec: ['/$odd %name', '--print-exec'] }),
        files: [...inspectFiles(), { path: '$odd %name', type: 'symlink', linkname: '/inspect' }],
      });
      const result = await the.rkt.ok(flavour.run(odd));
      assert.deepEqual(flavour.linesOf(result), ['inspect exceed as: /$odd %name']);
    });

    it('with names that systemd does not take are refused', async () => {
      const image = inspectImage(the.rkt);
      for (const program of ['/bin/a"b', "/bin/it's", '/bin/back\\slash', '/bin/line\nbreak']) {
        const result = await the.rkt.run(flavour.run(image, `--exec=${program}`));
        expectStatus(result, flavour.can.isolated ? 254 : 203);
        assert.match(result.output, /systemd executes no program with quotes|No such file or directory/);
      }
      expectStatus(await the.rkt.run(flavour.run(image, '--exec=/bin/')), 203);
    });

    it('that cannot be started at all end the pod, and are told of', async () => {
      // Longer than systemd lets a line be.
      const words = Array.from({ length: 9 }, () => 'x'.repeat(120_000));
      const result = await the.rkt.run(
        flavour.run(
          inspectImage(the.rkt),
          '--name=long',
          '--exec=/bin/true',
          '--',
          ...words,
          ...(flavour.can.severalApps ? ['---', inspectImage(the.rkt), '--name=short'] : []),
        ),
      );
      if (!flavour.can.isolated) return void expectStatus(result, 0);
      expectStatus(result, 1);
      assert.match(result.output, /Error: app "long" was not started/);
      const [uuid = ''] = the.rkt.podsIn('run');
      const { 'app-long': long, 'app-short': short } = await the.rkt.status(uuid);
      assert.deepEqual([long, short], ['1', '0']);
    });

    it('are looked for in the working directory, /bin and /usr/bin where the app has no PATH', async () => {
      const noPath = writeImage(the.rkt, {
        manifest: inspectManifest([], { app: { environment: [], workingDirectory: '/dir1' } }),
        files: [
          ...inspectFiles(),
          { path: 'dir1/in-cwd', type: 'symlink', linkname: '/inspect' },
          { path: 'usr/bin/in-usr', type: 'symlink', linkname: '../../inspect' },
        ],
      });
      for (const [name, at] of [
        ['in-cwd', '/dir1/in-cwd'],
        ['inspect-link-bin', '/bin/inspect-link-bin'],
        ['in-usr', '/usr/bin/in-usr'],
      ] as const) {
        const result = await the.rkt.ok(flavour.run(noPath, `--exec=${name}`, '--', '--print-exec'));
        assert.deepEqual(flavour.linesOf(result), [`inspect exceed as: ${at}`]);
      }
      await the.rkt.fails(
        flavour.run(noPath, '--exec=nowhere'),
        'unable to find "nowhere" in "/dir1:/bin:/usr/bin"',
      );
    });

    it('that lack their loader end with 203 and its name', async () => {
      const dynamic = writeImage(the.rkt, {
        manifest: inspectManifest(),
        files: [...inspectFiles(), { path: 'dynamic', mode: 0o755, content: readFileSync('/usr/bin/env') }],
      });
      const result = expectStatus(await the.rkt.run(flavour.run(dynamic, '--exec=/dynamic')), 203);
      assert.match(result.output, /Error: Unable to open "\/\S*\/ld\S*\.so\.\d"/);
    });
  });
});
