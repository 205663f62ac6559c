// A real Debian root file system: thousands of files, device nodes, absolute symlinks, every owner and mode.

import assert from 'node:assert/strict';

import { debianImage } from '@rkt/testkit/debian-image';

import { forEachFlavour } from '../lib/flavours.ts';
import { execute } from '../lib/process.ts';
import { expectStatus } from '../lib/rkt.ts';
import { suite } from '../lib/suite.ts';

suite('Debian image', ['root', 'debian'], (the) => {
  let image = '';
  let key = '';
  before(async function () {
    this.timeout(900_000);
    image = debianImage('gzip');
    key = await the.rkt.fetch(image);
  });

  it('is unpacked to the letter', async function () {
    this.timeout(300_000);
    const out = the.rkt.tmp.join('out');
    await the.rkt.ok(['image', 'extract', key, out], { timeoutMs: 120_000 });
    // GNU tar judges: contents, sizes, owners, modes, times, links, devices.
    const judged = await execute('tar', ['--diff', '--gzip', '--file', image, '--directory', out, 'rootfs'], {
      timeoutMs: 120_000,
    });
    assert.equal(judged.output, '');
    expectStatus(judged, 0);
  });
  it('has a tree that verifies, devices and all', async () => {
    const { stdout } = await the.rkt.ok(['image', 'verify', key], { timeoutMs: 120_000 });
    assert.match(stdout, /^successfully verified checksum/);
  });

  forEachFlavour([], (flavour) => {
    const run = async (script: string, ...flags: readonly string[]): Promise<string[]> =>
      flavour.linesOf(await the.rkt.ok(flavour.run(key, ...flags, '--', '-c', script)));

    it('runs its own programs', async () => {
      assert.deepEqual(
        await run(
          'ls -d /usr /bin; dpkg-query -W -f "\\${Version}\\n" base-files | cut -c1-2; perl -e "print 6*7, qq(\\n)"',
        ),
        ['/bin', '/usr', '12', '42'],
      );
    });
    it('finds its users', async () => {
      assert.deepEqual(await run('id -un; id -gn', '--user=www-data', '--group=www-data'), [
        'www-data',
        'www-data',
      ]);
    });
    it('writes, locks, forks and pipes', async () => {
      assert.deepEqual(
        await run(
          'set -e; cd /tmp; seq 1000 | sort -n | tail -1; mktemp -d > x; flock x true; wc -l < x; sleep 0.1 & wait; echo done',
        ),
        ['1000', '1', 'done'],
      );
    });
    it('has a working /dev', async () => {
      assert.deepEqual(
        await run(
          'echo x > /dev/null; head -c 3 /dev/zero | wc -c; test -c /dev/urandom && echo ok; readlink /dev/fd /dev/stdin',
        ),
        ['3', 'ok', '/proc/self/fd', '/proc/self/fd/0'],
      );
    });
  });
});
