// A process started by `rkt enter` can do what the app can, and no more (contract stage1 8.6, 10.1: CVE-2019-10144,
// -10145, -10147; CVE-2019-5736). The kernel is asked, from the host, about both of them.

import assert from 'node:assert/strict';
import { readFileSync, readlinkSync } from 'node:fs';

import { inspectFiles, inspectManifest } from '@rkt/testkit/inspect';

import { list } from '../lib/cleanup.ts';
import { forEachFlavour, lines } from '../lib/flavours.ts';
import { writeImage } from '../lib/images.ts';
import { eventually, type Running } from '../lib/process.ts';
import { suite } from '../lib/suite.ts';
import { probeResults, syscallProbe } from '../lib/syscall-probe.ts';

/** Argument by which an app's process is found, and that of an entered one. */
const [APP, ENTERED] = ['86421', '97531'];

suite('confinement of entered processes', ['root', 'busybox', 'program:tcc'], (the) => {
  let image = '';
  before(() => {
    image = writeImage(the.rkt, {
      manifest: inspectManifest([], { name: 'example.com/target' }),
      files: [...inspectFiles(), syscallProbe(the.rkt.tmp.path)],
    });
  });

  const CASES: Readonly<Record<string, readonly string[]>> = {
    'by default': [],
    'with few capabilities, an errno and a limit': [
      '--caps-retain=CAP_KILL,CAP_NET_RAW',
      '--seccomp=mode=remove,errno=EPERM,mkdir,@systemd/clock,keyctl',
      '--memory=64M',
    ],
    'with nothing but what a sleeper needs': [
      '--caps-remove=CAP_CHOWN,CAP_MKNOD',
      '--seccomp=mode=retain,@rkt/default-whitelist,clone3',
    ],
    'as another user': ['--user=1000', '--group=100'],
  };

  forEachFlavour([], (flavour) => {
    const run = (flags: readonly string[], ...words: readonly string[]): string[] =>
      flavour.run(image, ...flags, '--', ...words);
    const start = async (
      flags: readonly string[] = [],
    ): Promise<{ uuid: string; pod: Running; pid: string }> => {
      const uuidFile = the.rkt.tmp.join('uuid');
      const [first = '', verb = '', ...others] = run(['--exec=/bin/sleep', ...flags], APP);
      const pod = the.rkt.start([first, verb, `--uuid-file-save=${uuidFile}`, ...others]);
      let pid: string | undefined;
      await eventually('the app runs', () => (pid = processWith(APP)) !== undefined);
      return { uuid: text(uuidFile), pod, pid: pid ?? '' };
    };
    const enter = async (uuid: string): Promise<{ running: Running; pid: string }> => {
      const running = the.rkt.start(['enter', uuid, '/bin/sleep', ENTERED]);
      let pid: string | undefined;
      await eventually('the command runs', () => (pid = processWith(ENTERED)) !== undefined);
      return { running, pid: pid ?? '' };
    };

    for (const [title, flags] of Object.entries(CASES)) {
      it(`${title}: capabilities, privileges, namespaces, cgroups, mounts and descriptors are the app's`, async () => {
        const { uuid, pid: app } = await start(flags);
        const { pid, running } = await enter(uuid);
        const [theirs, ours] = [statusOf(app), statusOf(pid)];
        // Root within the app, where the app has another user (contract 8.6): its bounding set is what it can have.
        const sets = ours['Uid'] === theirs['Uid'] ? ['CapPrm', 'CapEff'] : [];
        for (const field of [
          'CapInh',
          'CapBnd',
          'CapAmb',
          'NoNewPrivs',
          'Seccomp',
          'SigIgn',
          'SigBlk',
          ...sets,
        ]) {
          assert.equal(ours[field], theirs[field], field);
        }
        assert.ok((hex(ours['CapPrm']) & ~hex(theirs['CapBnd'])) === 0n);
        for (const namespace of ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'user', 'uts']) {
          const link = (of: string): string => readlinkSync(`/proc/${of}/ns/${namespace}`);
          assert.equal(link(pid), link(app), namespace);
        }
        for (const file of ['cgroup', 'mountinfo']) {
          assert.equal(text(`/proc/${pid}/${file}`), text(`/proc/${app}/${file}`), file);
        }
        assert.equal(readlinkSync(`/proc/${pid}/root`), readlinkSync(`/proc/${app}/root`));
        assert.deepEqual(list(`/proc/${pid}/fd`), ['0', '1', '2']);
        running.kill('SIGTERM');
        // 143, and not before the command has ended: signals are handed on.
        assert.equal((await running.ended).status, 143);
        assert.equal(processWith(ENTERED), undefined);
      });

      // fly has no filter; and an app's user has results of its own.
      if (!flavour.can.isolated || title === 'as another user') continue;
      it(`${title}: every system call ends as it does in the app`, async () => {
        const own = probeResults(
          flavour
            .linesOf(await the.rkt.ok(run(['--exec=/probe', ...flags])))
            .filter((line) => line.includes('=')),
        );
        assert.ok(own.size > 400, `${own.size} calls`);
        const { uuid } = await start(flags);
        const { stdout } = await the.rkt.ok(['enter', uuid, '/probe']);
        const entered = probeResults(lines(stdout));
        for (const [call, result] of own) {
          assert.equal(entered.get(call), result, `call ${call}`);
        }
      });
    }
  });

  forEachFlavour(['isolated'], (flavour) => {
    const begin = async (flags: readonly string[]): Promise<string> => {
      the.rkt.start(flavour.run(image, '--exec=/bin/sleep', ...flags, '--', APP));
      await eventually('the app runs', () => processWith(APP) !== undefined);
      return the.rkt.podsIn('run')[0] ?? '';
    };

    it('devices and memory are limited as those of the app', async () => {
      const uuid = await begin(['--memory=32M', '--caps-retain=CAP_MKNOD,CAP_DAC_OVERRIDE']);
      const made = await the.rkt.run(['enter', uuid, '/bin/mknod', '/disk', 'b', '7', '0']);
      assert.match(made.output, /Operation not permitted/);
      const script = 'x=xxxxxxxxxxxxxxxx; while :; do x=$x$x; done';
      const { status } = await the.rkt.run(['enter', uuid, '/bin/sh', '-c', script]);
      assert.equal(status, 137);
    });

    // Executed for the command, /proc/self/exe would be the program that starts it, and could be written afterwards.
    it('the program that starts the command is not to be had', async () => {
      const uuid = await begin([]);
      const script = 'echo "#!/proc/self/exe" > /trap; chmod 755 /trap; ln -s /proc/self/exe /link';
      await the.rkt.ok(['enter', uuid, '/bin/sh', '-c', script]);
      for (const trap of ['/trap', '/link', '/proc/self/exe']) {
        const { output, status } = await the.rkt.run(['enter', uuid, trap, 'x', 'y']);
        assert.equal(status, 203, output);
        assert.match(output, /^Error: Unable to open "[^"]*": No such file or directory$/m);
      }
    });

    it('runs in the right one of several pods whose apps have one name', async () => {
      const first = await begin(['--environment=WHO=first']);
      the.rkt.start(flavour.run(image, '--exec=/bin/sleep', '--environment=WHO=second', '--', ENTERED));
      await eventually('the second app runs', () => processWith(ENTERED) !== undefined);
      const second = the.rkt.podsIn('run').find((uuid) => uuid !== first) ?? '';
      for (const [uuid, argument] of [
        [first, APP],
        [second, ENTERED],
      ] as const) {
        const { stdout } = await the.rkt.ok(['enter', uuid, '/bin/ps']);
        assert.ok(stdout.includes(argument), stdout);
      }
    });
  });
});

function processWith(argument: string): string | undefined {
  return list('/proc').find(
    (pid) => /^\d+$/.test(pid) && text(`/proc/${pid}/cmdline`) === `/bin/sleep\0${argument}\0`,
  );
}

function statusOf(pid: string): Record<string, string> {
  const pairs = [...text(`/proc/${pid}/status`).matchAll(/^(\w+):\s*(.*?)\s*$/gm)];
  return Object.fromEntries(pairs.map(([, key, value]) => [key, value])) as Record<string, string>;
}

function hex(value = '0'): bigint {
  return BigInt(`0x${value}`);
}

function text(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
