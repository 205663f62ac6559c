// Pods with users of their own (contract stage1 2.25, 10.1): every id of the pod is another one on the host, no two pods
// have the same, and what is entered or exported sees the pod's. All of it twice: with overlays over trees whose owners
// the kernel maps, and with shifted copies.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, readFileSync, readlinkSync, statSync } from 'node:fs';

import type { AciFile } from '@rkt/testkit/aci-builder';
import { inspectFiles, inspectManifest } from '@rkt/testkit/inspect';

import { list } from '../lib/cleanup.ts';
import { type Flavour, forEachFlavour, lines } from '../lib/flavours.ts';
import { writeImage } from '../lib/images.ts';
import { eventually } from '../lib/process.ts';
import { expectStatus, INSECURE } from '../lib/rkt.ts';
import { type Requirement, requires } from '../lib/requires.ts';
import { suite } from '../lib/suite.ts';

suite('user namespaces', ['root', 'busybox', 'userns'], (the) => {
  let image = '';
  before(() => {
    const owned = { content: 'owned', uid: 5, gid: 65_534 };
    const files = [
      ...inspectFiles(),
      { path: 'owned/', type: 'directory', ...owned, content: undefined, mode: 0o2750 },
      { path: 'owned/file', ...owned, mode: 0o640 },
      { path: 'owned/link', type: 'symlink', linkname: 'file', uid: 7, gid: 8 },
    ] as AciFile[];
    image = writeImage(the.rkt, { manifest: inspectManifest(), files });
  });

  const ways: readonly (readonly [string, readonly string[], readonly Requirement[]])[] = [
    ['over mapped trees', ['--private-users'], ['overlayfs', 'mapped-layers']],
    ['in shifted copies', ['--private-users', '--no-overlay'], []],
  ];
  const everyWay = (body: (flavour: Flavour, privateUsers: readonly string[]) => void): void =>
    forEachFlavour(['userNamespaces'], (flavour) => {
      for (const [name, flags, needs] of ways) {
        describe(name, () => {
          before(function () {
            requires(this, ...needs);
          });
          body(flavour, flags);
        });
      }
    });

  everyWay((flavour, privateUsers) => {
    const command = (flags: readonly string[], script: string): string[] =>
      flavour.run(...privateUsers, image, '--exec=/bin/sh', ...flags, '--', '-c', script);
    const say = async (script: string, flags: readonly string[] = []): Promise<string[]> =>
      flavour.linesOf(await the.rkt.ok(command(flags, script)));
    const shiftOf = (uuid: string): number => {
      const [shift = '', count] = readFileSync(
        `${the.rkt.podDir(uuid)}/private-users-prepared`,
        'utf8',
      ).split(':');
      assert.equal(count, '65536');
      return Number(shift);
    };

    it('show files and processes as those of root, and are others on the host', async () => {
      const found = await say('stat -c "%u %g %a" / /inspect /tmp; id -u; cat /proc/self/uid_map; : > /made');
      const [uuid = ''] = the.rkt.podsIn('run');
      const shift = shiftOf(uuid);
      assert.deepEqual(
        found.map((line) => line.trim().replaceAll(/\s+/g, ' ')),
        ['0 0 755', '0 0 755', '0 0 1777', '0', `0 ${shift} 65536`],
      );
      const root = `${the.rkt.podDir(uuid)}/stage1/rootfs/opt/stage2/rkt-inspect/rootfs`;
      for (const file of ['inspect', 'made']) assert.equal(lstatSync(`${root}/${file}`).uid, shift, file);
      assert.equal(shift % 65_536, 0);
      assert.ok(shift > 0);
      const overlay = !privateUsers.includes('--no-overlay');
      assert.equal(existsSync(`${the.rkt.podDir(uuid)}/overlay-prepared`), overlay);
    });

    it('have the files of others as theirs, and change them', async () => {
      const found = await say(
        [
          'stat -c "%n %u %g %a" /owned /owned/file /owned/link',
          'echo more >> /owned/file && chown 9:10 /owned/link -h && chmod 600 /owned/file && mv /owned/file /owned/moved',
          'rm -r /dir2 && mkdir /dir2 && ln /owned/moved /dir2/second',
          'stat -c "%n %u %g %a" /owned/moved /owned/link /dir2; cat /dir2/second',
        ].join('; '),
      );
      assert.deepEqual(found, [
        '/owned 5 65534 2750',
        '/owned/file 5 65534 640',
        '/owned/link 7 8 777',
        '/owned/moved 5 65534 600',
        '/owned/link 9 10 777',
        '/dir2 0 0 755',
        'ownedmore',
      ]);
      const [uuid = ''] = the.rkt.podsIn('run');
      const shift = shiftOf(uuid);
      const root = `${the.rkt.podDir(uuid)}/stage1/rootfs/opt/stage2/rkt-inspect/rootfs`;
      const { uid, gid } = lstatSync(`${root}/owned/moved`);
      assert.deepEqual([uid, gid], [shift + 5, shift + 65_534]);
    });

    it('may be run after they were prepared, and leave the image as it was', async () => {
      const prepared = ['prepare', ...flavour.stage1, ...privateUsers, image];
      const script = ['--exec=/bin/sh', '--', '-c', 'echo changed > /dir1/file; cat /dir1/file /owned/file'];
      for (const text of ['changed', 'changed']) {
        const uuid = (await the.rkt.ok([INSECURE, ...prepared, ...script])).stdout.trim();
        const result = await the.rkt.ok(['run-prepared', ...flavour.net, uuid]);
        assert.deepEqual(flavour.linesOf(result), [text, 'owned']);
      }
      const say = await the.rkt.ok(flavour.run(image, '--exec=/bin/cat', '--', '/dir1/file'));
      assert.deepEqual(flavour.linesOf(say), ['dir1']);
    });

    it('run apps as other users', async () => {
      assert.deepEqual(
        await say('id -u; id -g; grep Groups /proc/self/status', ['--user=user1', '--group=100']),
        ['1000', '100', 'Groups:\t100'],
      );
      // Of a path its owner counts, as the pod sees it.
      assert.deepEqual(await say('id -u; id -g', ['--user=/owned', '--group=/owned/file']), ['5', '65534']);
    });

    it('make no device nodes, and listen at every port of their own network', async () => {
      const found = await say('mknod /null2 c 1 3 2>&1; nc -l -p 80 -w 1 < /dev/null; echo ended $?');
      assert.match(found[0] ?? '', /not permitted/);
      assert.ok(!found.join('\n').includes('Permission denied'), found.join('\n'));
    });

    it('own their empty volumes', async () => {
      const pod = flavour.run(...privateUsers);
      const result = await the.rkt.ok([
        ...pod,
        '--volume=v,kind=empty,uid=5,gid=6,mode=0750',
        image,
        '--mount=volume=v,target=/v',
        '--exec=/bin/stat',
        '--',
        '-c',
        '%u %g %a',
        '/v',
      ]);
      assert.deepEqual(flavour.linesOf(result), ['5 6 750']);
    });

    it('have ranges that do not meet, however many are prepared at once', async () => {
      const prepare = ['prepare', ...flavour.stage1, ...privateUsers, image];
      const uuids = await Promise.all(
        Array.from({ length: 6 }, async () =>
          (await the.rkt.ok([INSECURE, '--debug', ...prepare])).stdout.trim(),
        ),
      );
      assert.equal(new Set(uuids.map(shiftOf)).size, uuids.length);
    });

    it('are entered: same users, capabilities in that namespace alone', async () => {
      the.rkt.start(command([], 'sleep 75319'));
      const running = (): string | undefined =>
        list('/proc').find(
          (pid) => /^\d+$/.test(pid) && text(`/proc/${pid}/cmdline`) === 'sleep\u000075319\0',
        );
      await eventually('the app runs', () => running() !== undefined);
      const [uuid = ''] = the.rkt.podsIn('run');
      const script =
        'readlink /proc/self/ns/user; id -u; grep CapBnd /proc/self/status; : > /entered; mknod /n c 1 3';
      const result = await the.rkt.run(['enter', uuid, '/bin/sh', '-c', script]);
      assert.match(result.output, /mknod: .*not permitted/);
      const said = lines(result.stdout);
      const app = running() ?? '';
      assert.equal(said[0], readlinkSync(`/proc/${app}/ns/user`));
      assert.notEqual(said[0], readlinkSync('/proc/self/ns/user'));
      assert.equal(said[1], '0');
      assert.equal(said[2], /^CapBnd:.*$/m.exec(text(`/proc/${app}/status`))?.[0]);
      assert.equal(statSync(`/proc/${app}/root/entered`).uid, shiftOf(uuid));
    });

    it('are exported with the owners that the pod sees', async () => {
      await say('chown 7:8 /dir1/file; : > /made');
      const [uuid = ''] = the.rkt.podsIn('run');
      const file = the.rkt.tmp.join(`${uuid}.aci`);
      await the.rkt.ok(['export', uuid, file]);
      const listing = execFileSync('tar', ['--numeric-owner', '-tvzf', file], { encoding: 'utf8' });
      assert.match(listing, / 7\/8 .* rootfs\/dir1\/file$/m);
      assert.match(listing, / 0\/0 .* rootfs\/made$/m);
    });

    it('know no ids that the range does not reach', async () => {
      await the.rkt.fails(
        command(['--user=70000', '--group=3'], 'id'),
        'uid 70000 or gid 3 are out of range 65536',
      );
      const volume = ['--volume=v,kind=empty,uid=70000', '--mount=volume=v,target=/v'];
      await the.rkt.fails(
        flavour.run(...privateUsers, ...volume, image),
        'volume "v": uid 70000 or gid 0 are out of range 65536',
      );
      const file = { path: 'far', content: 'far', uid: 65_536, gid: 3 };
      const far = writeImage(the.rkt, { manifest: inspectManifest(), files: [...inspectFiles(), file] });
      const stat = ['--exec=/bin/stat', '--', '-c', '%u %g', '/far'];
      const run = flavour.run(...privateUsers, far, ...stat);
      if (privateUsers.includes('--no-overlay')) {
        await the.rkt.fails(run, 'entry far: uid 65536 is not in the range 0 to 65535');
      } else {
        // The kernel maps what it can.
        assert.deepEqual(flavour.linesOf(await the.rkt.ok(run)), ['65534 3']);
      }
    });

    it('limit nothing that the pod cannot, and say so', async () => {
      const result = await the.rkt.run(command(['--memory=64M'], 'echo ran'));
      if (result.status === 0) return;
      expectStatus(result, 254);
      assert.match(result.output, /cannot enforce resource\/memory/);
    });
  });
});

function text(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
