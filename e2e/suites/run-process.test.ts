// What the process of an app is like: user, groups, directory, descriptors, signals, files (contract stage1 2.6-2.17, 3).

import assert from 'node:assert/strict';

import { forEachFlavour } from '../lib/flavours.ts';
import { inspectImage } from '../lib/images.ts';
import { INSECURE } from '../lib/rkt.ts';
import { suite } from '../lib/suite.ts';

suite('processes of apps', ['root', 'busybox'], (the) => {
  let image = '';
  before(() => {
    image = inspectImage(the.rkt);
  });

  forEachFlavour([], (flavour) => {
    const command = (...args: readonly string[]): string[] => [
      INSECURE,
      'run',
      ...flavour.stage1,
      ...flavour.net,
      ...args,
    ];
    const inspect = async (options: readonly string[], flags: readonly string[] = []): Promise<string[]> => {
      const result = await the.rkt.ok(command(image, ...flags, '--', ...options));
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
      ] as const) {
        it(`is not started with ${flag}`, () =>
          the.rkt.fails(command(image, flag), pattern).then(() => undefined));
      }
      it('starts in the working directory', async () => {
        assert.deepEqual(await inspect(['--print-cwd']), ['cwd: /']);
        assert.deepEqual(await inspect(['--print-cwd'], ['--working-dir=/dir1']), ['cwd: /dir1']);
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
        const result = await the.rkt.run(command(image, '--', '--read-file', '--file-name=/dir1/new'));
        assert.equal(result.status, 254);
        assert.match(result.output, /no such file or directory/);
      });
    });
  });
});
