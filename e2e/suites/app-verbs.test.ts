// rkt app: pods whose apps come and go (contract stage0 8.20, stage1 8.4).

import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { podDir, stage1Rootfs } from '@rkt/pod-layout/pod-paths';
import { stage2Dir, startedMark } from '@rkt/pod-layout/stage1-paths';

import { mountPoints } from '../lib/cleanup.ts';
import { RKT_BIN } from '../lib/environment.ts';
import { FLAVOURS } from '../lib/flavours.ts';
import { shellImage } from '../lib/images.ts';
import type { Result } from '../lib/process.ts';
import { requires } from '../lib/requires.ts';
import { expectStatus, INSECURE } from '../lib/rkt.ts';
import { Sandbox } from '../lib/sandbox.ts';
import { suite } from '../lib/suite.ts';

const NAME = 'example.com/shell';

suite('apps of sandboxes', ['root', 'busybox'], (the) => {
  const NSPAWN = FLAVOURS.find(({ name }) => name === 'nspawn');
  const flags = [...(NSPAWN?.stage1 ?? []), '--net=none'];
  before(async function () {
    if (NSPAWN === undefined) this.skip();
    await the.rkt.ok([INSECURE, 'fetch', shellImage(the.rkt, 'echo default', { name: NAME })]);
  });

  it("come, run, end and go, and their end is not the pod's", async () => {
    const sandbox = await Sandbox.start(the.rkt, flags);
    assert.equal((await sandbox.app('list', '--no-legend')).stdout, '\n');
    await the.rkt.fails(['enter', sandbox.uuid, '/bin/sh'], 'pod contains zero apps');
    await sandbox.app('add', NAME, '--name=winner', '--', 'ignored');
    assert.equal((await sandbox.app('list')).stdout, 'NAME\tSTATE\nwinner\tcreated\n');
    await sandbox.app('start', '--app=winner');
    assert.equal((await sandbox.exited('winner')).exit_code, 0);
    await sandbox.app('add', NAME, '--name=loser', '--exec=/bin/sh', '--', '-c', 'echo said; exit 7');
    await sandbox.app('start', '--app=loser');
    assert.equal((await sandbox.exited('loser')).exit_code, 7);
    assert.equal((await sandbox.app('list', '--no-legend')).stdout, 'winner\texited\nloser\texited\n');
    // Of one image are both, and one can go without the other.
    await sandbox.app('rm', '--app=winner');
    await sandbox.app('start', '--app=loser');
    await sandbox.exited('loser');
    await sandbox.app('rm', '--app=loser');
    assert.equal((await sandbox.app('list', '--no-legend')).stdout, '\n');
    assert.equal(await sandbox.stop(), 0);
    assert.match(sandbox.running.output, /winner\[\d+\]: default/);
    assert.equal(sandbox.running.output.match(/loser\[\d+\]: said/g)?.length, 2);
  });

  it('are refused limits that the host cannot enforce, unless that is accepted', async function () {
    requires(this, 'program:setpriv');
    const sandbox = await Sandbox.start(the.rkt, flags);
    const add = (name: string, insecure: string): Promise<Result> =>
      the.rkt.startBare(
        [
          '--bounding-set=-sys_resource',
          '--inh-caps=-sys_resource',
          RKT_BIN,
          ...the.rkt.directoryFlags,
          insecure,
          'app',
          'add',
          sandbox.uuid,
          NAME,
          `--name=${name}`,
          '--oom-score-adj=-900',
          '--exec=/bin/cat',
          '--',
          '/proc/self/oom_score_adj',
        ],
        {},
        'setpriv',
      ).ended;
    const refused = await add('limited', INSECURE);
    expectStatus(refused, 254);
    assert.match(refused.output, /cannot enforce os\/linux\/oom-score-adj: .*CAP_SYS_RESOURCE/);
    assert.match(refused.output, /--insecure-options=limits/);
    assert.equal((await sandbox.app('list', '--no-legend')).stdout, '\n');
    expectStatus(await add('unlimited', '--insecure-options=image,limits'), 0);
    await sandbox.app('start', '--app=unlimited');
    assert.equal((await sandbox.exited('unlimited')).exit_code, 0);
    assert.equal(await sandbox.stop(), 0);
    assert.match(sandbox.running.output, /unlimited\[\d+\]: (?!-900)-?\d+/);
  });

  it('are stopped one by one, entered, and stopped with their pod', async () => {
    const sandbox = await Sandbox.start(the.rkt, flags);
    for (const app of ['one', 'two']) {
      await sandbox.app('add', NAME, `--name=${app}`, '--exec=/bin/sh', '--', '-c', 'exec sleep 1000');
      await sandbox.app('start', `--app=${app}`);
    }
    assert.equal(
      (await the.rkt.ok(['app', 'exec', '--app=two', sandbox.uuid, '/bin/echo', 'in'])).stdout,
      'in\n',
    );
    await sandbox.app('stop', '--app=one');
    const { state, exit_code: code } = await sandbox.status('one');
    assert.deepEqual([state, code], ['exited', 15]);
    assert.equal((await sandbox.status('two')).state, 'running');
    await the.rkt.fails(['app', 'stop', sandbox.uuid, '--app=one'], 'app "one" is not running');
    assert.equal(await sandbox.stop(), 0);
    assert.equal((await sandbox.status('two')).state, 'exited');
    const stopped = await sandbox.app('stop', '--app=two');
    assert.equal(stopped.stdout, `pod "${sandbox.uuid}" is already stopped\n`);
    await sandbox.app('rm', '--app=two');
    assert.equal((await sandbox.app('list', '--no-legend')).stdout, 'one\texited\n');
  });

  it('have volumes, which those that are read-only cannot write', async () => {
    const source = the.rkt.tmp.join('volume');
    mkdirSync(source);
    writeFileSync(join(source, 'file'), 'content\n');
    const sandbox = await Sandbox.start(the.rkt, flags);
    const volume = `kind=host,source=${source}`;
    const script =
      'cat /ro/file; echo written > /rw/new; echo no > /ro/other || echo refused; echo x > /empty/y && echo empty';
    await sandbox.app(
      'add',
      NAME,
      '--name=app',
      `--mnt-volume=name=ro,${volume},target=/ro,readOnly=true`,
      `--mnt-volume=name=rw,${volume},target=/rw`,
      '--mnt-volume=name=empty,kind=empty,target=/empty',
      '--user-label=a=b',
      '--exec=/bin/sh',
      '--',
      '-c',
      script,
    );
    await sandbox.app('start', '--app=app');
    const { mounts, user_labels: labels } = await sandbox.exited('app');
    assert.deepEqual(
      mounts?.map((mount) => [mount.container_path, mount.read_only]),
      [
        ['/ro', true],
        ['/rw', false],
        ['/empty', false],
      ],
    );
    assert.deepEqual(labels, { a: 'b' });
    assert.equal(readFileSync(join(source, 'new'), 'utf8'), 'written\n');
    assert.deepEqual(readdirSync(source).sort(), ['file', 'new']);
    await sandbox.app('rm', '--app=app');
    assert.deepEqual(readdirSync(source).sort(), ['file', 'new']);
    assert.equal(await sandbox.stop(), 0);
    for (const line of ['content', 'refused', 'empty'])
      assert.match(sandbox.running.output, new RegExp(`: ${line}\\b`));
  });

  it('are limited as apps of other pods are', async () => {
    const sandbox = await Sandbox.start(the.rkt, flags);
    await sandbox.app(
      'add',
      NAME,
      '--name=small',
      '--user=1000',
      '--caps-retain=CAP_NET_ADMIN',
      '--exec=/bin/sh',
      '--',
      '-c',
      'id -u; grep CapBnd /proc/self/status; grep Seccomp: /proc/self/status',
    );
    await sandbox.app('start', '--app=small');
    await sandbox.exited('small');
    assert.equal(await sandbox.stop(), 0);
    const { output } = sandbox.running;
    assert.match(output, /: 1000\b/);
    assert.match(output, /CapBnd:\s+0000000000001000\b/);
    assert.match(output, /Seccomp:\s+2\b/);
  });

  it('are not limited where the sandbox was not to be', async () => {
    const sandbox = await Sandbox.start(the.rkt, ['--insecure-options=image,capabilities', ...flags]);
    const script = 'grep CapBnd /proc/self/status';
    await sandbox.app('add', NAME, '--name=free', '--exec=/bin/sh', '--', '-c', script);
    await sandbox.app('start', '--app=free');
    await sandbox.exited('free');
    assert.equal(await sandbox.stop(), 0);
    const own = /^CapBnd:\s+([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '';
    assert.match(sandbox.running.output, new RegExp(`CapBnd:\\s+${own}\\b`));
  });

  it('have names of their own, and an image that is in the store', async () => {
    const sandbox = await Sandbox.start(the.rkt, flags);
    const add = (...args: readonly string[]): string[] => ['app', 'add', sandbox.uuid, ...args];
    await sandbox.app('add', NAME, '--name=app');
    await the.rkt.fails(add(NAME, '--name=app'), 'multiple apps with name app');
    await the.rkt.fails(add('example.com/nowhere'), 'example.com/nowhere');
    await the.rkt.fails(add(), 'must provide the pod UUID and an IMAGEID');
    await the.rkt.fails(add(NAME, NAME), 'must give only one app');
    await the.rkt.fails(['app', 'start', sandbox.uuid], 'must provide the app to start');
    await the.rkt.fails(['app', 'rm', sandbox.uuid, '--app=other'], 'error: nonexistent app "other"');
    // What stage1 refuses leaves nothing behind.
    await the.rkt.fails(add(NAME, '--name=bad', '--user=nobody-here'), 'nobody-here');
    assert.equal((await sandbox.app('list', '--no-legend')).stdout, 'app\tcreated\n');
    await sandbox.app('add', NAME, '--name=bad');
    assert.equal(await sandbox.stop(), 0);
  });

  it('are refused by pods that were made with theirs', async () => {
    const pod = (
      await the.rkt.ok([
        INSECURE,
        'prepare',
        '--quiet',
        ...flags.slice(0, 1),
        NAME,
        '--exec=/bin/sh',
        '--',
        '-c',
        'echo up; sleep 1000',
      ])
    ).stdout.trim();
    const running = the.rkt.start(['run-prepared', '--net=none', pod]);
    await running.waitFor(/\bup\b/);
    await the.rkt.ok(['status', '--wait-ready=30s', pod]);
    await the.rkt.fails(['app', 'add', pod, NAME, '--name=more'], 'immutable pod');
    await the.rkt.fails(['app', 'rm', pod, '--app=shell'], 'immutable pod');
    assert.match((await the.rkt.ok(['app', 'list', pod])).stdout, /shell\trunning/);
  });

  it('do not exist with a stage1 that cannot change pods', async function () {
    const fly = FLAVOURS.find(({ name }) => name === 'fly');
    if (fly === undefined) this.skip();
    await the.rkt.fails(
      [INSECURE, 'app', 'sandbox', ...fly.stage1, '--net=host'],
      'stage1 does not support mutable pods',
      { status: 1 },
    );
  });

  it('say at the pod what the sandbox was told', async () => {
    const sandbox = await Sandbox.start(the.rkt, [
      ...flags,
      '--annotation=a/b=c',
      '--user-label=x=y',
      '--port=http:tcp:80::8080',
    ]);
    const manifest = JSON.parse((await the.rkt.ok(['cat-manifest', sandbox.uuid])).stdout) as Record<
      string,
      unknown
    >;
    assert.deepEqual(manifest['annotations'], [
      { name: 'coreos.com/rkt/stage1/mutable', value: 'true' },
      { name: 'a/b', value: 'c' },
    ]);
    assert.deepEqual(manifest['userLabels'], { x: 'y' });
    assert.deepEqual(manifest['ports'], [
      {
        name: 'http',
        hostPort: 8080,
        podPort: { name: 'http', protocol: 'tcp', port: 80, count: 1, socketActivated: false },
      },
    ]);
    assert.equal(await sandbox.stop(), 0);
  });

  it('survive two clients at once, and one that is killed', async () => {
    const sandbox = await Sandbox.start(the.rkt, flags);
    const names = ['a', 'b', 'c', 'd'];
    await Promise.all(names.map((name) => sandbox.app('add', NAME, `--name=${name}`)));
    await Promise.all(names.map((name) => sandbox.app('start', `--app=${name}`)));
    for (const name of names) assert.equal((await sandbox.exited(name)).exit_code, 0);
    for (const waitMs of [30, 60, 90, 120]) {
      const killed = the.rkt.start(['app', 'add', sandbox.uuid, NAME, '--name=half']);
      await new Promise((done) => setTimeout(done, waitMs));
      killed.kill('SIGKILL');
      await killed.ended;
      const { stdout } = await sandbox.app('list', '--no-legend');
      if (/^half\t/m.test(stdout)) await sandbox.app('rm', '--app=half');
      await sandbox.app('add', NAME, '--name=half');
      // A start that was killed leaves its mark, and the app does not run.
      const dir = podDir(join(the.rkt.data, 'pods/run', sandbox.uuid));
      writeFileSync(startedMark(stage1Rootfs(dir), 'half'), '');
      await sandbox.app('start', '--app=half');
      assert.equal((await sandbox.exited('half')).exit_code, 0);
      await sandbox.app('rm', '--app=half');
    }
    const stage2 = (): string[] =>
      readdirSync(stage2Dir(stage1Rootfs(podDir(join(the.rkt.data, 'pods/run', sandbox.uuid))))).sort();
    // Four apps, and one link of their image to one that is still there.
    await sandbox.app('rm', '--app=a');
    assert.deepEqual(stage2().slice(0, -1), ['b', 'c', 'd']);
    assert.match(stage2().at(-1) ?? '', /^sha512-/);
    await Promise.all(['b', 'c', 'd'].map((name) => sandbox.app('rm', `--app=${name}`)));
    assert.deepEqual(stage2(), []);
    assert.equal((await sandbox.app('list', '--no-legend')).stdout, '\n');
    assert.equal(await sandbox.stop(), 0);
  });

  it('leak nothing over many cycles', async function () {
    const cycles = Number(process.env['RKT_APP_CYCLES'] ?? '25');
    this.timeout(120_000 + cycles * 5000);
    const sandbox = await Sandbox.start(the.rkt, flags);
    const cycle = async (): Promise<void> => {
      const volume = '--mnt-volume=name=v,kind=empty,target=/v';
      await sandbox.app('add', NAME, '--name=app', volume, '--exec=/bin/sleep', '--', '1000');
      await sandbox.app('start', '--app=app');
      // What has been started can be entered: the command runs in the app's root, not in that of stage1.
      await the.rkt.ok(['app', 'exec', '--app=app', sandbox.uuid, '/bin/true']);
      await sandbox.app('stop', '--app=app');
      await sandbox.app('rm', '--app=app');
    };
    const seen = (): Record<string, unknown> => traces(the.rkt.data, sandbox.uuid);
    // What is made once: journald's files, directories of units.
    for (let warm = 0; warm < 3; warm += 1) await cycle();
    const before = seen();
    for (let done = 0; done < cycles; done += 1) await cycle();
    assert.deepEqual(seen(), before);
    assert.equal(await sandbox.stop(), 0);
  });

  // Mounts, files, processes and open descriptors of the sandbox.
  function traces(data: string, uuid: string): Record<string, unknown> {
    const pod = join(data, 'pods/run', uuid);
    const supervisor = Number(readFileSync(join(pod, 'ppid'), 'utf8'));
    const children = readFileSync(`/proc/${supervisor}/task/${supervisor}/children`, 'utf8')
      .trim()
      .split(' ');
    const init = children[0] ?? '';
    const inside = (name: string): string[] => readdirSync(join(pod, name)).sort();
    return {
      hostMounts: mountPoints().length,
      podMounts: readFileSync(`/proc/${init}/mountinfo`, 'utf8').split('\n').length,
      descriptors: readdirSync(`/proc/${init}/fd`).length,
      processes: readFileSync(`/proc/${init}/task/${init}/children`, 'utf8').trim().split(' ').length,
      pod: inside('.'),
      apps: inside('appsinfo'),
      units: inside('stage1/rootfs/usr/lib/systemd/system'),
      status: inside('stage1/rootfs/rkt/status'),
      env: inside('stage1/rootfs/rkt/env'),
      stage2: inside('stage1/rootfs/opt/stage2'),
      overlays: readdirSync(join(pod, 'overlay')).map((tree) => [
        tree,
        inside(`overlay/${tree}/upper`).length,
      ]),
    };
  }
});
