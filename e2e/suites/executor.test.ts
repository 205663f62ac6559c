// What a flag or a manifest says about an app holds in the pod (contract stage1 2.18-2.24, 2.31, 8.5, 13.3): the cases that
// no other suite has. docs/executor.md says where each feature is tested.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { MS_BIND } from '@rkt/linux/constants';
import { openKernel } from '@rkt/linux/libc';
import { inspectFiles, inspectManifest } from '@rkt/testkit/inspect';
import { imageManifest } from '@rkt/testkit/manifests';

import { RKT_BIN } from '../lib/environment.ts';
import { forEachFlavour, lines } from '../lib/flavours.ts';
import { inspectImage, writeImage } from '../lib/images.ts';
import { eventually, shellQuote } from '../lib/process.ts';
import { requires } from '../lib/requires.ts';
import { expectStatus, INSECURE } from '../lib/rkt.ts';
import { suite } from '../lib/suite.ts';

suite('executor', ['root', 'busybox'], (the) => {
  let image = '';
  before(() => {
    image = inspectImage(the.rkt);
  });

  forEachFlavour(['isolated'], (flavour) => {
    const shell = (script: string, flags: readonly string[] = [], insecure = INSECURE): string[] => [
      insecure,
      'run',
      ...flavour.stage1,
      ...flavour.net,
      image,
      '--exec=/bin/sh',
      ...flags,
      '--',
      '-c',
      script,
    ];
    const say = async (
      script: string,
      flags: readonly string[] = [],
      insecure = INSECURE,
    ): Promise<string[]> => flavour.linesOf(await the.rkt.ok(shell(script, flags, insecure)));

    describe('seccomp sets', () => {
      const MOUNT = 'mount -t tmpfs none /tmp 2>&1; echo status $?';
      // A shell that is told by its child's signal: 128 + SIGSYS.
      const KILLED = 'status 159';
      const cases: readonly (readonly [flag: string | undefined, expected: RegExp])[] = [
        [undefined, new RegExp(`^${KILLED}$`)],
        ['mode=remove,@appc.io/empty', new RegExp(`^${KILLED}$`)],
        ['mode=retain,@appc.io/all', /permission denied|not permitted/i],
        ['mode=retain,@rkt/default-whitelist,mount', /permission denied|not permitted/i],
        ['mode=retain,@docker/default-whitelist', new RegExp(`^${KILLED}$`)],
        ['mode=remove,@docker/default-blacklist', new RegExp(`^${KILLED}$`)],
        ['mode=remove,errno=EXDEV,@systemd/mount', /cross-device link/i],
        ['mode=remove,errno=EROFS,mount', /read-only file system/i],
        ['mode=remove,@nobody/knows', /permission denied|not permitted/i],
      ];
      for (const [flag, expected] of cases) {
        it(flag ?? 'none given', async () => {
          const found = await say(MOUNT, flag === undefined ? [] : [`--seccomp=${flag}`]);
          assert.ok(
            found.some((line) => expected.test(line)),
            found.join('\n'),
          );
        });
      }
      it('kill the app with SIGSYS, which is its status', async () => {
        expectStatus(await the.rkt.run(shell('exec mount -t tmpfs none /tmp')), 31);
      });
      it('are off when asked', async () => {
        const found = await say(MOUNT, [], '--insecure-options=image,seccomp');
        assert.match(found.join('\n'), /permission denied|not permitted/i);
      });
      it('bind other users with no_new_privs', async () => {
        assert.deepEqual(await say('grep NoNewPrivs /proc/self/status', ['--user=1000', '--group=100']), [
          'NoNewPrivs:\t1',
        ]);
      });
    });

    it('capabilities can all be removed', async () => {
      const all =
        'CAP_AUDIT_WRITE,CAP_CHOWN,CAP_DAC_OVERRIDE,CAP_FSETID,CAP_FOWNER,CAP_KILL,CAP_MKNOD,CAP_NET_RAW,CAP_NET_BIND_SERVICE,CAP_SETUID,CAP_SETGID,CAP_SETPCAP,CAP_SETFCAP,CAP_SYS_CHROOT';
      assert.deepEqual(await say('grep CapBnd /proc/self/status', [`--caps-remove=${all}`]), [
        'CapBnd:\t0000000000000000',
      ]);
    });

    describe('protected paths', () => {
      const HIDDEN =
        '/proc/config.gz /proc/kallsyms /proc/sched_debug /proc/kcore /proc/kmem /proc/mem /proc/keys /proc/key-users /proc/timer_list /proc/acpi /proc/scsi /proc/asound /sys/firmware /sys/fs /sys/hypervisor /sys/module /sys/power';
      const READ_ONLY =
        '/proc/sys/kernel/core_pattern /proc/sys/kernel/modprobe /proc/sys/vm/panic_on_oom /proc/sysrq-trigger';
      it('have no mode, or cannot be written', async () => {
        const found = await say(
          `for f in ${HIDDEN}; do [ ! -e $f ] || stat -c "%a %n" $f; done; for f in ${READ_ONLY}; do echo x 2>&1 > $f; done; mkdir /sys/class/x 2>&1; true`,
        );
        const here = HIDDEN.split(' ').filter((path) => existsSync(path));
        assert.ok(here.length > 3);
        for (const path of here) assert.ok(found.includes(`0 ${path}`), `${path}\n${found.join('\n')}`);
        const refused = found.filter((line) => /read-only file system/i.test(line));
        const there = READ_ONLY.split(' ').filter((path) => existsSync(path));
        assert.equal(refused.length, there.length + 1, found.join('\n'));
      });
      it('are as the kernel shows them when asked', async () => {
        const found = await say(
          'stat -c %a /proc/kallsyms; ls /sys/module | head -n 1; mknod /ptmx2 c 5 2 && echo made',
          [],
          '--insecure-options=image,paths',
        );
        assert.notEqual(found[0], '0');
        assert.equal(found.at(-1), 'made');
      });
    });

    describe('device volumes', () => {
      const device = '/dev/loop-control';
      const mounted = (mode: string, script: string): string[] =>
        flavour.run(
          `--volume=dev,kind=host,source=${device}${mode}`,
          image,
          '--mount=volume=dev,target=/dev/mine',
          '--exec=/bin/sh',
          '--',
          '-c',
          script,
        );
      before(function () {
        if (!existsSync(device) || !lstatSync(device).isCharacterDevice()) this.skip();
      });
      it('can be opened as they were given', async () => {
        const read = await the.rkt.ok(mounted('', 'cat /dev/mine 2>&1; : > /dev/mine && echo written'));
        assert.match(flavour.linesOf(read).join('\n'), /invalid argument[^]*written/i);
        const only = await the.rkt.ok(
          mounted(',readOnly=true', 'cat /dev/mine 2>&1; (: > /dev/mine) 2>&1; echo done'),
        );
        const found = flavour.linesOf(only).join('\n');
        assert.match(found, /invalid argument/i);
        assert.match(found, /(not permitted|read-only)/i);
      });
      it('and not otherwise', async () => {
        const found = await say('mknod /loop c 10 237 2>&1; echo $?');
        assert.match(found.join('\n'), /not permitted/);
      });
    });

    describe('pod manifests', () => {
      const manifestOf = (apps: readonly object[], rest: object = {}): string => {
        const file = the.rkt.tmp.join('pod.json');
        writeFileSync(
          file,
          JSON.stringify({
            acVersion: '0.8.11',
            acKind: 'PodManifest',
            apps,
            volumes: [],
            isolators: [],
            annotations: [],
            ports: [],
            ...rest,
          }),
        );
        return file;
      };
      it('run: apps of the image and of the manifest, volumes of the app and of the pod', async () => {
        const key = await the.rkt.fetch(
          writeImage(the.rkt, {
            manifest: imageManifest({
              name: 'example.com/own',
              exec: [
                '/bin/sh',
                '-c',
                'echo own $AC_APP_NAME; while [ ! -e /shared/done ]; do sleep 0.1; done',
              ],
              app: { mountPoints: [{ name: 'shared', path: '/shared' }] },
            }),
            files: inspectFiles(),
          }),
        );
        const file = manifestOf(
          [
            { name: 'from-image', image: { id: key } },
            {
              name: 'from-pod',
              image: { id: key },
              readOnlyRootFS: true,
              app: {
                exec: ['/bin/sh', '-c', 'stat -c %a /mine; touch /x 2>&1; echo $WHO; : > /shared/done'],
                user: '0',
                group: '0',
                environment: [{ name: 'WHO', value: 'the pod' }],
                mountPoints: [{ name: 'shared', path: '/shared' }],
              },
              mounts: [
                {
                  volume: 'private',
                  path: '/mine',
                  appVolume: { name: 'private', kind: 'empty', mode: '0711' },
                },
              ],
            },
          ],
          { volumes: [{ name: 'shared', kind: 'empty' }] },
        );
        const result = await the.rkt.ok(flavour.run(`--pod-manifest=${file}`));
        assert.deepEqual(flavour.linesOf(result, 'from-image'), ['own from-image']);
        const said = flavour.linesOf(result, 'from-pod');
        assert.equal(said[0], '711');
        assert.match(said[1] ?? '', /read-only file system/i);
        assert.equal(said[2], 'the pod');
      });
      it('with two volumes of one name fail when the pod starts', async () => {
        const key = await the.rkt.fetch(image);
        const volume = { name: 'twice', kind: 'empty' };
        const file = manifestOf([{ name: 'a', image: { id: key } }], { volumes: [volume, volume] });
        await the.rkt.fails(flavour.run(`--pod-manifest=${file}`), /duplicate volume name/);
      });
    });

    describe('terminals', () => {
      before(function () {
        requires(this, 'program:script');
      });
      const onTerminal = (script: string): ReturnType<typeof the.rkt.startOnTerminal> => {
        const words = flavour.run('--interactive', image, '--exec=/bin/sh', '--', '-c', script);
        const line = `stty cols 77 rows 33; exec ${shellQuote([RKT_BIN, ...the.rkt.directoryFlags, ...words])}`;
        return the.rkt.startBare(
          ['--quiet', '--return', '--flush', '--command', line, '/dev/null'],
          { input: { open: true } },
          'script',
        );
      };
      it("have the size of the caller's", async () => {
        const { output } = await onTerminal('/bin/busybox stty size').ended;
        assert.match(output, /^33 77\r?$/m);
      });
      it('take ctrl-C to the app', async () => {
        const pod = onTerminal('trap "echo caught; exit 7" INT; echo up; while :; do sleep 0.1; done');
        await pod.waitFor(/\bup\r?$/m);
        pod.write('\u0003');
        const result = await pod.ended;
        expectStatus(result, 7);
        assert.match(result.output, /caught/);
      });
      it('end the pod when ^] is typed three times', async () => {
        const pod = onTerminal('echo up; sleep 100');
        await pod.waitFor(/\bup\r?$/m);
        pod.write('\u001d\u001d\u001d');
        expectStatus(await pod.ended, 1);
      });
      it('take ctrl-C to a pod without --interactive as an orderly end', async () => {
        const pod = the.rkt.startOnTerminal(shell('echo up; sleep 100'));
        await pod.waitFor(/: up\r?$/m);
        pod.write('\u0003');
        expectStatus(await pod.ended, 0);
      });
    });

    it('keeps what apps say in the journal of the pod, which the group rkt can read', async function () {
      requires(this, 'program:journalctl');
      const group = the.rkt.tmp.join('group');
      writeFileSync(group, `${readFileSync('/etc/group', 'utf8')}\nrkt:x:4242:\n`);
      openKernel().mount(group, '/etc/group', null, MS_BIND, null);
      const words = [...flavour.stage1, ...flavour.net, image, '--', '--print-msg=kept'];
      await the.rkt
        .ok([INSECURE, 'run', '--no-overlay', ...words])
        .finally(() => openKernel().umount2('/etc/group', 0));
      const [uuid = ''] = the.rkt.podsIn('run');
      const directory = join(the.rkt.podDir(uuid), 'stage1/rootfs/var/log/journal');
      const own = join(directory, uuid.replaceAll('-', ''));
      // Entries of tag, permissions and id (posix_acl_xattr.h): a group, to read and to enter.
      const entry = Buffer.from([8, 0, 5, 0, 4242 & 255, 4242 >> 8, 0, 0]);
      const readers = openKernel().lgetXattr(own, Buffer.from('system.posix_acl_default'));
      assert.ok(readers.includes(entry), readers.toString('hex'));
      const said = execFileSync('journalctl', ['-D', directory, '-t', 'rkt-inspect', '-o', 'cat'], {
        encoding: 'utf8',
      });
      assert.deepEqual(lines(said), ['kept']);
    });

    it('runs what was prepared with the IPC namespace that is asked for then', async () => {
      const uuid = await the.rkt.prepare([...flavour.stage1, image, '--', '--print-ipcns']);
      const result = await the.rkt.ok([INSECURE, 'run-prepared', ...flavour.net, '--ipc=parent', uuid]);
      const own = execFileSync('readlink', ['/proc/self/ns/ipc'], { encoding: 'utf8' }).trim();
      assert.deepEqual(flavour.linesOf(result), [`IPCNS: ${own}`]);
    });

    it('has three apps end as they do: the first failure is the status, later apps are stopped', async () => {
      const app = (name: string, seconds: number, status: number): string[] => [
        image,
        `--name=${name}`,
        '--exec=/bin/sh',
        '--',
        '-c',
        `sleep ${seconds}; exit ${status}`,
        '---',
      ];
      const result = await the.rkt.run(flavour.run(...app('a', 1, 0), ...app('b', 1, 5), ...app('c', 4, 6)));
      expectStatus(result, 5);
      const [uuid = ''] = the.rkt.podsIn('run');
      const status = await the.rkt.status(uuid);
      assert.equal(status['app-b'], '5');
      assert.equal(status['app-a'], '0');
      assert.equal(status['app-c'], '0');
    });

    it('tells of annotations and labels that users gave', async () => {
      await the.rkt.ok(flavour.run(image, '--user-annotation=color=blue', '--user-label=tier=front'));
      const [uuid = ''] = the.rkt.podsIn('run');
      const { stdout } = await the.rkt.ok(['cat-manifest', uuid]);
      const { apps } = JSON.parse(stdout) as {
        apps: { app: { userAnnotations: unknown; userLabels: unknown } }[];
      };
      assert.deepEqual(apps[0]?.app.userAnnotations, { color: 'blue' });
      assert.deepEqual(apps[0]?.app.userLabels, { tier: 'front' });
    });
  });

  forEachFlavour(['callersInput'], (flavour) => {
    it('names what it cannot isolate', async () => {
      const own = writeImage(the.rkt, {
        manifest: inspectManifest([], {
          app: { isolators: [{ name: 'resource/memory', value: { limit: '64M' } }] },
        }),
        files: inspectFiles(),
      });
      const result = await the.rkt.ok(flavour.run(own));
      assert.match(result.output, /warning: fly does not isolate, ignoring resource\/memory/);
    });
    it('takes ctrl-C to the app', async function () {
      requires(this, 'program:script');
      const pod = the.rkt.startOnTerminal(
        flavour.run(
          image,
          '--exec=/bin/sh',
          '--',
          '-c',
          'trap "echo caught; exit 7" INT; echo up; while :; do sleep 0.1; done',
        ),
      );
      await pod.waitFor(/\bup\r?$/m);
      pod.write('\u0003');
      expectStatus(await pod.ended, 7);
      await eventually('the pod has ended', () => the.rkt.podsIn('run').length === 1);
    });
  });
});
