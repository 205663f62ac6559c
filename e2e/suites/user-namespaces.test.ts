// Pods with users of their own (contract stage1 2.25, 10.1): every id of the pod is another one on the host, no two pods
// have the same, and what is entered or exported sees the pod's.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { lstatSync, readFileSync, readlinkSync, statSync } from 'node:fs';

import { list } from '../lib/cleanup.ts';
import { forEachFlavour, lines } from '../lib/flavours.ts';
import { inspectImage } from '../lib/images.ts';
import { eventually } from '../lib/process.ts';
import { expectStatus, INSECURE } from '../lib/rkt.ts';
import { suite } from '../lib/suite.ts';

suite('user namespaces', ['root', 'busybox', 'userns'], (the) => {
  let image = '';
  before(() => {
    image = inspectImage(the.rkt);
  });

  forEachFlavour(['userNamespaces'], (flavour) => {
    const command = (flags: readonly string[], script: string): string[] => [
      INSECURE,
      'run',
      ...flavour.stage1,
      ...flavour.net,
      '--private-users',
      image,
      '--exec=/bin/sh',
      ...flags,
      '--',
      '-c',
      script,
    ];
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
    });

    it('run apps as other users', async () => {
      assert.deepEqual(
        await say('id -u; id -g; grep Groups /proc/self/status', ['--user=user1', '--group=100']),
        ['1000', '100', 'Groups:\t100'],
      );
    });

    it('make no device nodes, and listen at every port of their own network', async () => {
      const found = await say('mknod /null2 c 1 3 2>&1; nc -l -p 80 -w 1 < /dev/null; echo ended $?');
      assert.match(found[0] ?? '', /not permitted/);
      assert.ok(!found.join('\n').includes('Permission denied'), found.join('\n'));
    });

    it('own their empty volumes', async () => {
      const pod = [INSECURE, 'run', ...flavour.stage1, ...flavour.net, '--private-users'];
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
      const prepare = ['prepare', ...flavour.stage1, '--private-users', image];
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
      const file = the.rkt.tmp.join('exported.aci');
      await the.rkt.ok(['export', uuid, file]);
      const listing = execFileSync('tar', ['--numeric-owner', '-tvzf', file], { encoding: 'utf8' });
      assert.match(listing, / 7\/8 .* rootfs\/dir1\/file$/m);
      assert.match(listing, / 0\/0 .* rootfs\/made$/m);
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
