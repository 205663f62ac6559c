// What the process of an app is like: user, groups, directory, descriptors, signals, files (contract stage1 2.6-2.17, 3).

import assert from 'node:assert/strict';

import { inspectFiles, inspectManifest } from '@rkt/testkit/inspect';

import { forEachFlavour } from '../lib/flavours.ts';
import { inspectImage, writeImage } from '../lib/images.ts';
import { expectStatus } from '../lib/rkt.ts';
import { suite } from '../lib/suite.ts';

suite('processes of apps', ['root', 'busybox'], (the) => {
  let image = '';
  before(() => {
    image = inspectImage(the.rkt);
  });

  forEachFlavour([], (flavour) => {
    const inspect = async (options: readonly string[], flags: readonly string[] = []): Promise<string[]> => {
      const result = await the.rkt.ok(flavour.run(image, ...flags, '--', ...options));
      return flavour.linesOf(result);
    };

    describe('the process', () => {
      it('runs as the user, the group and the groups it should', async () => {
        assert.deepEqual(await inspect(['--print-user', '--print-groups']), [
          'User: uid=0 euid=0 gid=0 egid=0',
          'Groups: 0',
        ]);
        assert.deepEqual(await inspect(['--print-user'], ['--user=1000', '--group=100']), [
          'User: uid=1000 euid=1000 gid=100 egid=100',
        ]);
        assert.deepEqual(await inspect(['--print-user'], ['--user=user1', '--group=group1']), [
          'User: uid=1000 euid=1000 gid=100 egid=100',
        ]);
        assert.deepEqual(await inspect(['--print-user'], ['--user=/dir1', '--group=/dir1/file']), [
          'User: uid=0 euid=0 gid=0 egid=0',
        ]);
        assert.deepEqual(await inspect(['--print-groups'], ['--supplementary-gids=1200,400,500']), [
          'Groups: 0 400 500 1200',
        ]);
      });
      for (const [flag, pattern] of [
        ['--user=nobody-here', /"nobody-here" user not found/],
        ['--group=nogroup-here', /"nogroup-here" group not found/],
        ['--user=/nonexistent', /no such file or directory/],
        ['--group=4294967295', /Invalid uid or gid/],
      ] as const) {
        it(`is not started with ${flag}`, () =>
          the.rkt.fails(flavour.run(image, flag), pattern).then(() => undefined));
      }
      it('is not started as 65535, which systemd takes for nobody at all', async () => {
        for (const flag of ['--user=65535', '--group=65535', '--supplementary-gids=1,65535']) {
          if (flavour.can.isolated) await the.rkt.fails(flavour.run(image, flag), 'Invalid uid or gid');
          else await the.rkt.ok(flavour.run(image, flag));
        }
      });
      it('of a docker image that names only a user has the group of that number', async () => {
        const docker = writeImage(the.rkt, {
          manifest: inspectManifest([], {
            annotations: { 'appc.io/docker/repository': 'whatever' },
            app: { user: 'only-user', group: 'only-user' },
          }),
          files: [
            ...inspectFiles().filter(({ path }) => path !== 'etc/passwd'),
            { path: 'etc/passwd', content: 'only-user:x:1234:100::/:\n' },
          ],
        });
        const result = await the.rkt.ok(flavour.run(docker, '--', '--print-user'));
        assert.deepEqual(flavour.linesOf(result), ['User: uid=1234 euid=1234 gid=1234 egid=1234']);
        await the.rkt.fails(flavour.run(docker, '--group=no-group'), /"no-group" group not found/);
      });
      it('starts in the working directory', async () => {
        assert.deepEqual(await inspect(['--print-cwd']), ['cwd: /']);
        const odd = writeImage(the.rkt, {
          manifest: inspectManifest(),
          files: [...inspectFiles(), { path: 'a b/50%\\/file', content: '' }],
        });
        for (const [directory, at] of [
          ['/dir1', '/dir1'],
          ['/dir1/link_rel_dir2/..//dir1/', '/dir1'],
          ['/a b', '/a b'],
          ['/a b/50%\\', '/a b/50%\\'],
        ] as const) {
          const result = await the.rkt.ok(
            flavour.run(odd, `--working-dir=${directory}`, '--', '--print-cwd'),
          );
          assert.deepEqual(flavour.linesOf(result), [`cwd: ${at}`]);
        }
      });
      it('that cannot start in its directory says so', async () => {
        for (const [directory, why] of [
          ['/nowhere', /no such file or directory/i],
          ['/dir1/file', /not a directory/i],
        ] as const) {
          const result = await the.rkt.run(flavour.run(image, `--working-dir=${directory}`));
          // systemd's own status for it, or that of a stage1 that fails.
          expectStatus(result, flavour.can.isolated ? 200 : 254);
          assert.match(result.output, why);
          assert.ok(result.output.includes(directory), result.output);
        }
      });
      it('has no descriptors but the standard ones', async () => {
        const [found = ''] = await inspect(['--print-fds']);
        const extra = found
          .replace('Descriptors:', '')
          .trim()
          .split(' ')
          .filter((fd) => Number(fd) > 2);
        // fly's app holds the lock of its pod (contract stage1 3, step 8).
        assert.ok(extra.length <= (flavour.can.isolated ? 0 : 1), found);
      });
      it('ignores and blocks no signals', async () => {
        const [found = ''] = await inspect(['--print-signals']);
        assert.equal(found, 'Signals: blocked=0000000000000000 ignored=0000000000000000');
      });
      it('has the umask 022 and one thread', async () => {
        assert.deepEqual(await inspect(['--print-umask', '--print-threads']), ['Umask: 0022', 'Threads: 1']);
      });
      it('sees the standard devices', async () => {
        for (const device of ['null', 'zero', 'full', 'random', 'urandom', 'tty', 'ptmx']) {
          const found = await inspect(['--stat-file', `--file-name=/dev/${device}`]);
          assert.match(found[0] ?? '', /mode: Dc/, device);
        }
        assert.match((await inspect(['--stat-file', '--file-name=/tmp']))[0] ?? '', /dtrwxrwxrwx/);
        assert.match((await inspect(['--list-dir=/proc/self/fd']))[0] ?? '', /0/);
      });
      it('finds etc/mtab', async () => {
        assert.deepEqual(await inspect(['--file-symlink-target', '--file-name=/etc/mtab']), [
          'symlink: "/etc/mtab" -> "../proc/self/mounts"',
        ]);
      });
      it('writes into a root of its own', async () => {
        assert.deepEqual(
          await inspect(['--write-file', '--read-file', '--file-name=/dir1/new', '--content=mine']),
          ['<<<mine>>>'],
        );
        const result = await the.rkt.run(flavour.run(image, '--', '--read-file', '--file-name=/dir1/new'));
        assert.equal(result.status, 254);
        assert.match(result.output, /no such file or directory/);
      });
    });
  });
});
