// systemd's way and the shim's way of starting an app give the same process: nspawn lets systemd do it, fly and enter
// use the shim (contract stage1 2.6, 2.17, 2.18, 3, 10.1). What the app is asked to print comes from the kernel, not
// from a shell, since shells change signals and descriptors of their own.

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';

import { RLIMIT_NOFILE } from '@rkt/linux/constants';
import { openKernel } from '@rkt/linux/libc';

import { list } from '../lib/cleanup.ts';
import type { Flavour } from '../lib/flavours.ts';
import { FLAVOURS, forEachFlavour, lines } from '../lib/flavours.ts';
import { inspectImage } from '../lib/images.ts';
import { eventually } from '../lib/process.ts';
import { skip } from '../lib/requires.ts';
import { suite } from '../lib/suite.ts';

/** What makes a process, as text that can be compared. */
interface Process {
  readonly identity: Readonly<Record<string, string>>;
  readonly limits: readonly string[];
  readonly environment: readonly string[];
  readonly directory: string;
  readonly descriptors: readonly number[];
}

// Fields of proc_pid_status(5). Seccomp is left out: nspawn filters for its own sake, fly does not isolate.
const IDENTITY: readonly string[] = (
  'Uid Gid Groups Umask Threads NoNewPrivs ' + 'SigBlk SigIgn SigCgt CapInh CapPrm CapEff CapBnd CapAmb'
).split(' ');

// Both flavours with everything they can switch off, so that only the way of starting differs.
const OPEN = '--insecure-options=image,capabilities,paths,seccomp';

/** Processes to compare: flags of the image. */
const CASES: Readonly<Record<string, readonly string[]>> = {
  'root with nothing said': [],
  'a user with groups, a directory and variables': [
    '--user=1000',
    '--group=100',
    '--supplementary-gids=400,500',
    '--working-dir=/dir1',
    '--environment=SPACES=a  b',
    '--environment=QUOTES="x" \'y\' \\z $HOME %h',
    '--environment=HOME=',
  ],
  'root with another group': ['--user=0', '--group=100', '--supplementary-gids=0'],
};

suite('conformance of processes', ['root', 'busybox'], (the) => {
  const byName = (name: string): Flavour | undefined => FLAVOURS.find((flavour) => flavour.name === name);
  let image = '';
  before(function () {
    for (const name of ['nspawn', 'fly']) {
      const flavour = byName(name);
      if (flavour === undefined || !existsSync(flavour.image)) skip(this, `needs the flavour ${name}`);
    }
    image = inspectImage(the.rkt);
  });

  async function look(name: string, flags: readonly string[]): Promise<Process> {
    const flavour = byName(name);
    assert.ok(flavour !== undefined);
    const start = [OPEN, 'run', ...flavour.stage1, ...flavour.net, image, ...flags];
    const say = async (program: string, ...words: readonly string[]): Promise<string[]> =>
      flavour.linesOf(await the.rkt.ok([...start, `--exec=/bin/${program}`, '--', ...words]));
    const numbers = (text: readonly string[]): number[] =>
      text.flatMap((line) => line.trim().split(/\s+/).map(Number)).sort((a, b) => a - b);
    return {
      identity: identityOf(await say('cat', '/proc/self/status')),
      limits: (await say('cat', '/proc/self/limits')).map((line) => line.replaceAll(/\s+/g, ' ').trim()),
      environment: (await say('env')).sort(),
      directory: (await say('readlink', '/proc/self/cwd')).join('\n'),
      descriptors: numbers(await say('ls', '/proc/self/fd')),
    };
  }

  for (const [title, flags] of Object.entries(CASES)) {
    it(`${title}: systemd and the shim agree`, async () => {
      const systemd = await look('nspawn', flags);
      const shim = await look('fly', flags);
      assert.deepEqual(shim.identity, systemd.identity);
      assert.deepEqual(shim.limits, systemd.limits);
      assert.deepEqual(shim.environment, systemd.environment);
      assert.equal(shim.directory, systemd.directory);
      // 3 is the directory that is being listed; fly's app holds its pod's lock besides.
      assert.deepEqual(systemd.descriptors, [0, 1, 2, 3]);
      assert.deepEqual(shim.descriptors.slice(0, 4), [0, 1, 2, 3]);
      assert.ok(shim.descriptors.length <= 5, String(shim.descriptors));
    });
  }

  it('has default signals, and the limits of the caller', async () => {
    const kernel = openKernel();
    const { soft, hard } = kernel.getRlimit(RLIMIT_NOFILE);
    const unusual = 777n;
    kernel.setRlimit(RLIMIT_NOFILE, unusual, hard);
    try {
      for (const name of ['nspawn', 'fly']) {
        const { identity, limits } = await look(name, []);
        for (const set of ['SigBlk', 'SigIgn', 'SigCgt'])
          assert.equal(identity[set], '0'.repeat(16), `${name} ${set}`);
        assert.ok(
          limits.includes(`Max open files ${unusual} ${hard} files`),
          `${name}: ${limits.join('; ')}`,
        );
      }
    } finally {
      kernel.setRlimit(RLIMIT_NOFILE, soft, hard);
    }
  });

  forEachFlavour([], (flavour) => {
    it('lets an entered process have no more than the app has', async () => {
      const flags = ['--exec=/bin/sleep', '--caps-retain=CAP_NET_BIND_SERVICE,CAP_KILL'];
      const start = ['--insecure-options=image', 'run', ...flavour.stage1, ...flavour.net];
      const pod = the.rkt.start([...start, image, ...flags, '--', '60']);
      let uuid = '';
      await eventually('the pod runs', () => {
        uuid = the.rkt.podsIn('run')[0] ?? '';
        return uuid !== '' && appStatus(uuid, 'sleep') !== undefined;
      });
      const app = identityOf(lines(appStatus(uuid, 'sleep') ?? ''));
      const { stdout } = await the.rkt.ok(['enter', uuid, '/bin/cat', '/proc/self/status']);
      const entered = identityOf(lines(stdout));
      // The caller's terminal settings and limits are its own; what it may do is not.
      for (const field of ['NoNewPrivs', 'CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb', 'SigIgn']) {
        assert.equal(entered[field], app[field], field);
      }
      pod.kill('SIGTERM');
      await pod.ended;
    });
  });
});

function identityOf(status: readonly string[]): Record<string, string> {
  const pairs = status.map((line) => /^(\w+):\s*(.*?)\s*$/.exec(line)).filter((match) => match !== null);
  const all = Object.fromEntries(pairs.map(([, key, value]) => [key, value])) as Record<string, string>;
  const found = Object.fromEntries(IDENTITY.map((key) => [key, all[key] ?? 'missing']));
  return { ...found, Groups: sortedNumbers(found['Groups'] ?? '') };
}

function sortedNumbers(text: string): string {
  return text
    .split(/\s+/)
    .map(Number)
    .sort((a, b) => a - b)
    .join(' ');
}

// proc_pid_status(5) of the program `name` in a cgroup of the pod.
function appStatus(uuid: string, name: string): string | undefined {
  const marker = uuid.slice(0, 8);
  const pid = list('/proc').find(
    (entry) =>
      /^\d+$/.test(entry) &&
      read(`/proc/${entry}/comm`).trim() === name &&
      read(`/proc/${entry}/cgroup`).includes(marker),
  );
  return pid === undefined ? undefined : read(`/proc/${pid}/status`);
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
