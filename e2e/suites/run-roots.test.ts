// What an app finds in its root beside its image: the devices and file systems of the appc standard, the sockets of the
// journal, mtab, a hostname (contract stage1 1.9, 2.11).

import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';

import { minimalImage } from '@rkt/testkit/debian-image';

import { forEachFlavour } from '../lib/flavours.ts';
import { writeImage } from '../lib/images.ts';
import { suite } from '../lib/suite.ts';

suite('roots of apps', ['root', 'busybox'], (the) => {
  const image = (
    script: string,
    more: NonNullable<Parameters<typeof writeImage>[1]['files']> = [],
  ): string => {
    const description = minimalImage({ exec: ['/bin/sh', '-c', script] });
    return writeImage(the.rkt, { ...description, files: [...(description.files ?? []), ...more] });
  };

  forEachFlavour([], (flavour) => {
    it('have an etc/mtab unless they bring one', async () => {
      const script = 'readlink /etc/mtab || cat /etc/mtab';
      const made = await the.rkt.ok(flavour.run(image(script, [{ path: 'etc/' }])));
      assert.deepEqual(flavour.linesOf(made), ['../proc/self/mounts']);
      const kept = await the.rkt.ok(flavour.run(image(script, [{ path: 'etc/mtab', content: 'mine' }])));
      assert.deepEqual(flavour.linesOf(kept), ['mine']);
    });

    it('have a /tmp for everybody, and /proc and /sys', async () => {
      const script =
        'stat -c %a /tmp; echo x > /tmp/x && cat /tmp/x; readlink /proc/self/exe; ls -d /sys/kernel';
      const result = await the.rkt.ok(flavour.run(image(script)));
      assert.deepEqual(flavour.linesOf(result), ['1777', 'x', '/bin/busybox', '/sys/kernel']);
    });
  });

  forEachFlavour(['isolated'], (flavour) => {
    it('have the devices of the standard and no others', async () => {
      const script = [
        'ls -1a /dev | grep -v "^\\."',
        'echo ---',
        'stat -L -c "%n %F %a %t:%T %u %g" /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty /dev/ptmx',
        'stat -c "%n %F" /dev/console /dev/shm /dev/pts',
        'readlink /dev/log',
        'ls -d /run/systemd/journal',
      ].join('; ');
      const result = await the.rkt.ok(
        flavour.run(image(script, [{ path: 'dev/shm', type: 'symlink', linkname: '/nowhere/shm' }])),
      );
      const said = flavour.linesOf(result);
      const middle = said.indexOf('---');
      // Hosts without the tunnel device have none to show.
      const found = said.slice(0, middle).filter((name) => name !== 'net');
      assert.deepEqual(
        found.sort(),
        ['console', 'full', 'log', 'null', 'ptmx', 'pts', 'random', 'shm', 'tty', 'urandom', 'zero'].sort(),
      );
      assert.deepEqual(said.slice(middle + 1), [
        '/dev/null character special file 666 1:3 0 0',
        '/dev/zero character special file 666 1:5 0 0',
        '/dev/full character special file 666 1:7 0 0',
        '/dev/random character special file 666 1:8 0 0',
        '/dev/urandom character special file 666 1:9 0 0',
        '/dev/tty character special file 666 5:0 0 0',
        '/dev/ptmx character special file 666 5:2 0 0',
        '/dev/console character special file',
        '/dev/shm directory',
        '/dev/pts directory',
        '/run/systemd/journal/dev-log',
        '/run/systemd/journal',
      ]);
    });

    it('have a hostname that all may read, and hosts only where the image has none', async () => {
      const script = 'stat -c %a /etc/hostname; cat /etc/hostname; grep ^127 /etc/hosts';
      const without = await the.rkt.ok(flavour.run('--hostname=my-host', image(script)));
      assert.deepEqual(flavour.linesOf(without), [
        '644',
        'my-host',
        '127.0.0.1 localhost localhost.domain localhost4 localhost4.localdomain4 my-host',
      ]);
      const own = [{ path: 'etc/hosts', content: '127.0.0.2 mine\n' }];
      const withOwn = await the.rkt.ok(flavour.run('--hostname=my-host', image(script, own)));
      assert.equal(flavour.linesOf(withOwn).at(-1), '127.0.0.2 mine');
    });

    it('keep a volume at /sys', async () => {
      const host = the.rkt.tmp.join('sys-volume');
      mkdirSync(host, { recursive: true });
      writeFileSync(`${host}/mine`, '');
      const result = await the.rkt.ok(
        flavour.run(`--volume=v,kind=host,source=${host}`, '--mount=volume=v,target=/sys', image('ls /sys')),
      );
      assert.deepEqual(flavour.linesOf(result), ['mine']);
    });
  });
});
