// What is only so in pods without isolation (contract stage1 3). What all flavours do is in the suites of the features.

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';

import { MNT_DETACH } from '@rkt/linux/constants';
import { openKernel } from '@rkt/linux/libc';
import { inspectFiles, inspectManifest } from '@rkt/testkit/inspect';

import { forEachFlavour } from '../lib/flavours.ts';
import { inspectImage, writeImage } from '../lib/images.ts';
import { FAILURE, INSECURE } from '../lib/rkt.ts';
import { suite } from '../lib/suite.ts';

suite('pods without isolation', ['root', 'busybox'], (the) => {
  let image = '';
  let host = '';
  before(() => {
    image = inspectImage(the.rkt);
    host = the.rkt.tmp.join('host');
    mkdirSync(join(host, 'sub'), { recursive: true });
    writeFileSync(join(host, 'file'), 'host file');
  });

  forEachFlavour(['callersInput'], (flavour) => {
    const shell = (script: string): string[] => [image, '--exec=/bin/sh', '--', '-c', script];

    it('share with the host all but their mounts and control groups', async () => {
      const kinds = ['net', 'pid', 'ipc', 'uts', 'user', 'mnt'];
      const script = `for n in ${kinds.join(' ')}; do readlink /proc/self/ns/$n; done; grep CapBnd /proc/self/status; cat /proc/sys/kernel/hostname`;
      const said = flavour.linesOf(await the.rkt.ok(flavour.run(...shell(script))));
      const own = kinds.map((kind) => readlinkSync(`/proc/self/ns/${kind}`));
      assert.deepEqual(said.slice(0, 5), own.slice(0, 5));
      assert.notEqual(said[5], own[5]);
      assert.equal(said[6], /^CapBnd:.*$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[0]);
      assert.equal(said[7], hostname());
    });

    it('mount nothing where the host sees it, and leave the propagation of its mounts alone', async () => {
      // Mount points with their optional fields: which peers they have.
      const table = (): string[] =>
        readFileSync('/proc/self/mountinfo', 'utf8')
          .split('\n')
          .map((line) => line.split(' ').slice(4, -3).join(' '))
          .filter((line) => !line.includes('/pods/'));
      const before = table();
      const pod = the.rkt.start(flavour.run(...shell('cat /proc/self/mountinfo; echo up; sleep 100')));
      await pod.waitFor(/^up$/m);
      assert.deepEqual(table(), before);
      const [uuid = ''] = the.rkt.podsIn('run');
      const root = `${the.rkt.podDir(uuid)}/stage1/rootfs/opt/stage2/`;
      const inside = readFileSync('/proc/self/mountinfo', 'utf8')
        .split('\n')
        .map((line) => line.split(' ')[4] ?? '');
      assert.ok(!inside.some((point) => point.startsWith(root) && /\/(dev|proc|sys|tmp)$/.test(point)));
      for (const place of ['/dev', '/proc', '/sys', '/tmp'])
        assert.match(pod.output, new RegExp(` ${place} `));
    });

    it('say what they ignore, and run', async () => {
      const own = writeImage(the.rkt, {
        manifest: inspectManifest([], {
          app: {
            eventHandlers: [{ name: 'pre-start', exec: ['/bin/touch', '/made'] }],
            isolators: [{ name: 'resource/cpu', value: { limit: '1' } }],
          },
        }),
        files: inspectFiles(),
      });
      const result = await the.rkt.ok([
        INSECURE,
        'run',
        ...flavour.stage1,
        '--net=none',
        '--hostname=other',
        '--ipc=private',
        own,
        '--exec=/bin/sh',
        '--',
        '-c',
        'ls /made; echo ran',
      ]);
      assert.match(result.stdout, /^Warning: -hostname not supported; ignoring$/m);
      for (const warning of [
        /warning: --ipc option is not supported by stage1/,
        /warning: fly does not isolate, ignoring resource\/cpu/,
        /warning: fly runs no event handlers, ignoring pre-start/,
        /warning: fly's app has the host's network, ignoring --net=none/,
      ]) {
        assert.match(result.stderr, warning);
      }
      assert.match(result.stdout, /^ran$/m);
      assert.match(result.stderr, /\/made/);
    });

    it('say that ports of the host lead nowhere', async () => {
      const ports = [{ name: 'www', protocol: 'tcp', port: 80 }];
      const own = writeImage(the.rkt, {
        manifest: inspectManifest([], { app: { ports } }),
        files: inspectFiles(),
      });
      const words = [...flavour.stage1, '--net=default', '--port=www:8080', own, '--exec=/bin/true'];
      const { stderr } = await the.rkt.ok([INSECURE, 'run', ...words]);
      assert.match(
        stderr,
        /warning: fly's app has the host's network, ignoring the forwarding of ports www$/m,
      );
      assert.doesNotMatch(stderr, /--net/);
    });

    it('are refused users of their own', async () => {
      const users = await the.rkt.run(flavour.run('--private-users', image));
      assert.equal(users.status, FAILURE, users.output);
      assert.match(users.output, /private-users/);
    });

    it('leave their pid, their group and no status of apps', async () => {
      const pod = await the.rkt.run(flavour.run(...shell('echo $$; exit 3')));
      assert.equal(pod.status, 3);
      const [uuid = ''] = the.rkt.podsIn('run');
      const dir = the.rkt.podDir(uuid);
      assert.equal(readFileSync(join(dir, 'pid'), 'utf8'), `${flavour.linesOf(pod)[0]}\n`);
      assert.match(readFileSync(join(dir, 'pgid'), 'utf8'), /^\d+\n$/);
      assert.ok(existsSync(join(dir, 'runtime-config')));
      const status = await the.rkt.status(uuid);
      assert.equal(status['state'], 'exited');
      assert.deepEqual(
        Object.keys(status).filter((key) => key.startsWith('app-')),
        [],
      );
    });

    for (const [what, message, ...words] of [
      [
        'mounted twice',
        /duplicate mount given: "v"/,
        '--mount=volume=v,target=/a',
        '--mount=volume=v,target=/b',
      ],
      [
        'that are directories, over a file',
        /can't mount because ".*" is a directory while "\/etc\/passwd" is not/,
        '--mount=volume=v,target=/etc/passwd',
      ],
      [
        'that are files, over a directory',
        /can't mount because ".*" is not a directory while "\/dir1" is/,
        '--mount=volume=f,target=/dir1',
      ],
      ['of kind empty', /fly supports only "host"/, '--mount=volume=e,target=/e'],
    ] as const) {
      it(`refuse volumes ${what}`, async () => {
        const volumes = [
          `--volume=v,kind=host,source=${host}`,
          `--volume=f,kind=host,source=${join(host, 'file')}`,
          '--volume=e,kind=empty',
        ];
        await the.rkt.fails(flavour.run(...volumes, ...words, image), message);
      });
    }

    it('refuse mount points that nobody filled, or that a mount contradicts', async () => {
      const own = writeImage(the.rkt, {
        manifest: inspectManifest([], { app: { mountPoints: [{ name: 'v', path: '/mp' }] } }),
        files: inspectFiles(),
      });
      await the.rkt.fails(flavour.run(own), 'missing volume for mountpoint "v"');
      await the.rkt.fails(
        flavour.run(`--volume=v,kind=host,source=${host}`, '--mount=volume=v,target=/other', own),
        'conflicting path information from mount and mountpoint "v"',
      );
    });

    it('show no mounts below a volume unless it says so', async () => {
      const kernel = openKernel();
      kernel.mount('none', join(host, 'sub'), 'tmpfs', 0, null);
      try {
        writeFileSync(join(host, 'sub/inner'), '');
        const volume = [`--volume=v,kind=host,source=${host}`, '--mount=volume=v,target=/v'];
        const result = await the.rkt.ok(flavour.run(...volume, image, '--', '--list-dir=/v/sub'));
        assert.deepEqual(flavour.linesOf(result), []);
        await the.rkt.sweep();
      } finally {
        kernel.umount2(join(host, 'sub'), MNT_DETACH);
      }
    });
  });
});
