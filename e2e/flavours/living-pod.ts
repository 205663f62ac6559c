// Checks of the conformance suite on one running pod, from its first word to its last. Runs in the mocha process.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { release } from 'node:os';

import { list } from '../lib/cleanup.ts';
import { attempt, check } from '../lib/conformance.ts';
import type { Flavour } from '../lib/flavours.ts';
import { eventually } from '../lib/process.ts';
import { expectStatus } from '../lib/rkt.ts';
import type { Suite } from '../lib/suite.ts';
import { APP, startWitness, type Witness } from './witness.ts';

/** Declares the checks for one flavour. */
export function livingPod(the: Suite, flavour: Flavour): void {
  describe('a pod that lives', () => {
    let pod: Witness;
    before(async () => {
      pod = await startWitness(the.rkt, flavour);
    });
    after(() => the.rkt.sweep());
    const enter = (...words: readonly string[]): string[] => ['enter', pod.uuid, ...words];

    check(flavour, 'running', 'the program gets its arguments to the letter, and its directory', () => {
      assert.equal(pod.said('args'), '/witness|two words|$HOME');
      assert.equal(pod.said('cwd'), '/room');
      // ls has the directory open; fly's app has the lock of its pod besides.
      assert.ok(Number(pod.said('descriptors')) <= (flavour.can.isolated ? 4 : 5));
    });
    check(flavour, 'user', 'is what the image says', () => {
      assert.equal(pod.said('user'), '1000:100');
      assert.deepEqual(pod.said('Groups')?.split(/\s+/).sort(), ['100', '400', '500']);
      assert.equal(pod.said('CapEff'), '0'.repeat(16));
    });
    check(flavour, 'environment', 'comes from image and flags, to the letter', () => {
      assert.equal(pod.said('env.FROM_IMAGE'), 'image');
      assert.equal(pod.said('env.FROM_FLAG'), 'a  b "c" $d');
      assert.equal(pod.said('env.PATH'), '/bin');
      assert.equal(pod.said('env.HOME'), '/root');
      assert.equal(pod.said('env.CALLER'), undefined);
      for (const name of ['RKT_LOCK_FD', 'NODE_OPTIONS', 'LISTEN_FDS'])
        assert.equal(pod.said(`env.${name}`), undefined, name);
    });
    check(flavour, 'appName', 'is set', () => assert.equal(pod.said('env.AC_APP_NAME'), APP));
    check(flavour, 'output', 'of both streams comes', () => {
      const said = flavour.linesOf(pod.running);
      assert.ok(said.includes('this is said on stderr'), pod.running.output);
      assert.ok(said.includes('ready'));
    });
    check(flavour, 'volumes', 'are read and written, and read-only ones are not written', () => {
      assert.equal(pod.said('data'), 'data of the host');
      assert.equal(readFileSync(`${pod.data}/out`, 'utf8'), 'app\n');
      assert.equal(pod.said('fixed'), 'fixed of the host');
    });
    check(flavour, 'emptyVolumes', 'are there and can be written', () => {
      assert.equal(pod.said('empty'), 'told');
      assert.equal(pod.said('implicit'), '/implicit/*');
    });
    check(flavour, 'ownKernel', "has another release than the host's", () => {
      assert.notEqual(pod.said('kernel'), release());
      assert.match(pod.said('kernel') ?? '', /^\d+\.\d+/);
    });
    check(flavour, 'hostname', 'is the one that was asked for', () => {
      assert.equal(pod.said('hostname'), 'lighthouse');
    });
    check(flavour, 'noNetwork', 'is a loopback device alone', () => {
      assert.equal(pod.said('devices'), 'lo');
    });
    check(flavour, 'isolated', 'a process of the host cannot be seen', async () => {
      const secret = `7${Date.now()}`;
      const other = spawn('sleep', [secret], { stdio: 'ignore' });
      try {
        const words = ['/bin/sh', '-c', 'cat /proc/[0-9]*/cmdline | tr "\\0" "\\n"'];
        const { stdout } = await the.rkt.ok(enter(...words));
        assert.ok(stdout.includes('/witness'), stdout);
        assert.ok(!stdout.split('\n').includes(secret), stdout);
      } finally {
        other.kill('SIGKILL');
      }
    });

    check(flavour, 'running', 'status and list show it', async () => {
      const status = await the.rkt.status(pod.uuid);
      assert.deepEqual([status['state'], status['exited']], ['running', 'false']);
      process.kill(Number(status['pid']), 0);
      const { stdout } = await the.rkt.ok(['list', '--no-legend', '--full']);
      assert.match(stdout, new RegExp(`^${pod.uuid}\\t${APP}\\t.*\\trunning\\t`));
    });
    check(flavour, 'readiness', 'can be waited for', async () => {
      await the.rkt.ok(['status', '--wait-ready=30s', pod.uuid]);
    });
    check(flavour, 'logs', 'show what the app wrote, while it runs', async () => {
      const said = await eventually('the last line', async () => {
        const { stdout } = await the.rkt.ok(['logs', pod.uuid]);
        return stdout.includes('ready') ? stdout : undefined;
      });
      assert.ok(said.includes('args=/witness|two words|$HOME'), said);
      assert.ok(said.includes('this is said on stderr'), said);
    });

    attempt(flavour, 'enter', () => the.rkt.run(enter('/bin/true')));
    check(flavour, 'enter', 'ends with the status of the command', async () => {
      expectStatus(await the.rkt.run(enter('/bin/sh', '-c', 'exit 7')), 7);
      const both = await the.rkt.ok(enter('/bin/sh', '-c', 'echo out; echo err >&2'));
      assert.deepEqual(both.output.split(/\r?\n/).filter(Boolean).sort(), ['err', 'out']);
    });
    check(flavour, 'enter', "has the app's environment and files", async () => {
      const script = 'echo "$FROM_IMAGE/$FROM_FLAG"; [ ! -d /data ] || cat /data/in; ls /witness';
      const { stdout } = await the.rkt.ok(enter('/bin/sh', '-c', script), { env: { FROM_IMAGE: 'caller' } });
      assert.deepEqual(stdout.split(/\r?\n/).filter(Boolean), [
        'image/a  b "c" $d',
        ...(flavour.can.volumes ? ['data of the host'] : []),
        '/witness',
      ]);
    });
    check(flavour, 'enter', 'has no more capabilities than the app', async () => {
      const { stdout } = await the.rkt.ok(enter('/bin/cat', '/proc/self/status'));
      const status = Object.fromEntries(
        [...stdout.matchAll(/^(\w+):\s*(.*?)\s*$/gm)].map((match) => [match[1], match[2]]),
      ) as Record<string, string>;
      for (const field of ['CapBnd', 'NoNewPrivs']) assert.equal(status[field], pod.said(field), field);
      const [effective, bounding] = ['CapEff', 'CapBnd'].map((field) => BigInt(`0x${status[field]}`));
      assert.equal((effective ?? 1n) & ~(bounding ?? 0n), 0n);
    });
    check(flavour, 'enterUser', 'is 1000, and its groups', async () => {
      const { stdout } = await the.rkt.ok(
        enter('/bin/sh', '-c', 'id -u; id -g; grep Groups /proc/self/status'),
      );
      const [user, group, groups = ''] = stdout.split(/\r?\n/);
      assert.deepEqual([user, group], ['1000', '100']);
      assert.deepEqual(groups.trim().split(/\s+/).slice(1).sort(), ['100', '400', '500']);
    });
    check(flavour, 'enter', 'gives standard input to the command', async () => {
      const { stdout } = await the.rkt.ok(enter('/bin/cat'), { input: 'one\ntwo\n' });
      assert.equal(stdout, 'one\ntwo\n');
    });
    check(flavour, 'enter', 'may be done by several at once', async () => {
      const all = ['1', '2', '3'].map((n) =>
        the.rkt.run(enter('/bin/sh', '-c', `sleep 1; echo ${n}; exit ${n}`)),
      );
      const results = await Promise.all(all);
      assert.deepEqual(
        results.map(({ status, stdout }) => [status, stdout.trim()]),
        [
          [1, '1'],
          [2, '2'],
          [3, '3'],
        ],
      );
    });
    check(flavour, 'enter', 'has the terminal of the caller', async () => {
      const script = 'test -t 0 && test -t 1 && echo on a terminal; exit 6';
      const result = await the.rkt.startOnTerminal(enter('/bin/sh', '-c', script)).ended;
      assert.match(result.output, /on a terminal\r?\n/);
      expectStatus(result, 6);
    });

    check(flavour, 'stop', 'lets the app end in its own way', async () => {
      assert.equal((await the.rkt.ok(['stop', pod.uuid])).stdout, `"${pod.uuid}"\n`);
      await pod.running.ended;
      assert.ok(flavour.linesOf(pod.running).includes('last words'), pod.running.output);
      const status = await the.rkt.status(pod.uuid);
      assert.equal(status['state'], 'exited');
      if (flavour.can.statusFiles) assert.equal(status[`app-${APP}`], '0');
      const again = await the.rkt.ok(['stop', pod.uuid]);
      assert.equal(again.stdout, `pod "${pod.uuid}" is already stopped\n`);
    });
    check(flavour, 'logs', 'are kept when the pod has ended', async () => {
      assert.match((await the.rkt.ok(['logs', pod.uuid])).stdout, /last words/);
    });
    check(flavour, 'enter', 'is refused when the pod has ended', async () => {
      await the.rkt.fails(enter('/bin/true'), `pod "${pod.uuid}" isn't currently running`);
    });
    check(flavour, 'gc', 'takes the pod away', async () => {
      await the.rkt.ok(['gc', '--grace-period=0s']);
      assert.deepEqual(list(`${the.rkt.data}/pods/run`), []);
      assert.deepEqual(list(`${the.rkt.data}/pods/exited-garbage`), []);
      // What processes, mounts and control groups are left is what the frame of the suite looks for.
      assert.equal(readFileSync(`${pod.data}/in`, 'utf8'), 'data of the host\n');
    });
  });
}
