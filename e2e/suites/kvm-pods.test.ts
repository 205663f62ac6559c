// Pods in virtual machines: what the flavour adds to, and how it fails (contract stage1 4; docs/kvm.md). A machine takes
// seconds to start where it is emulated, so each test asks several things of one.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';

import { MNT_DETACH } from '@rkt/linux/constants';
import { openKernel } from '@rkt/linux/libc';

import { RKT_BIN } from '../lib/environment.ts';
import { KVM } from '../lib/flavours.ts';
import { shellImage } from '../lib/images.ts';
import { uuidOf } from '../lib/pods.ts';
import { eventually, type Running, shellQuote } from '../lib/process.ts';
import { requires } from '../lib/requires.ts';
import { expectStatus, FAILURE, INSECURE, UUID_PATTERN } from '../lib/rkt.ts';
import { suite } from '../lib/suite.ts';

const FOREVER = 'trap "echo stopping; exit 0" TERM; echo up; while :; do sleep 1; done';
const MINUTES = 4;

// Of its own: the streams that it was started with may be sockets as well.
function hasSocket(pid: number): boolean {
  // Descriptors come and go meanwhile, which ls(1) does not mind.
  const { stdout } = spawnSync('ls', ['-l', `/proc/${pid}/fd`], { encoding: 'utf8' });
  return / (?:[3-9]|\d\d+) -> socket:/.test(stdout);
}

suite('pods in virtual machines', ['root', 'busybox', 'overlayfs'], (the) => {
  before(function () {
    requires(this, 'program:qemu-system-x86_64');
  });
  beforeEach(function () {
    this.timeout(MINUTES * 60_000);
  });

  const run = (image: string, ...flags: readonly string[]): string[] => KVM.run(...flags, image);

  /** A pod whose app has said `up`, its UUID and the process that it is. */
  async function started(...flags: readonly string[]): Promise<{ pod: Running; uuid: string; pid: number }> {
    const file = the.rkt.tmp.join('uuid');
    const pod = the.rkt.start(run(shellImage(the.rkt, FOREVER), `--uuid-file-save=${file}`, ...flags));
    await pod.waitFor(/\bup\r?\n/, MINUTES * 60_000);
    const uuid = UUID_PATTERN.exec(readFileSync(file, 'utf8'))?.[0] ?? '';
    const pid = Number(readFileSync(join(the.rkt.data, 'pods/run', uuid, 'pid'), 'utf8'));
    return { pod, uuid, pid };
  }

  it('run another kernel, exit as their app does, and give it volumes that are what they should be', async () => {
    const host = the.rkt.tmp.join('host');
    mkdirSync(host);
    writeFileSync(join(host, 'file'), 'from the host\n');
    const script = 'uname -r; hostname; cat /v/file; echo new > /w/new; echo no > /v/new; exit 42';
    const volume = (name: string, more: string): string => `--volume=${name},kind=host,source=${host}${more}`;
    const result = await the.rkt.run(
      run(
        shellImage(the.rkt, script),
        '--hostname=guest',
        volume('v', ',readOnly=true'),
        '--mount=volume=v,target=/v',
        volume('w', ''),
        '--mount=volume=w,target=/w',
      ),
      { timeoutMs: 120_000 },
    );
    expectStatus(result, 42);
    const [kernel, hostname, content, refusal] = KVM.linesOf(result);
    assert.notEqual(kernel, release());
    assert.deepEqual([hostname, content], ['guest', 'from the host']);
    assert.match(refusal ?? '', /Read-only file system/);
    assert.equal(readFileSync(join(host, 'new'), 'utf8'), 'new\n');
  });

  it('run from copies, with the kernel that is for all', async () => {
    const words = run(shellImage(the.rkt, 'exit 3'), '--no-overlay');
    expectStatus(await the.rkt.run(words, { timeoutMs: 120_000 }), 3);
    const [uuid = ''] = the.rkt.podsIn('run');
    const rootfs = join(the.rkt.podDir(uuid), 'stage1/rootfs');
    for (const name of ['stage1', 'programs', 'libraries', 'guest'])
      assert.ok(lstatSync(join(rootfs, 'usr/lib/rkt', name)).isSymbolicLink(), name);
    assert.equal(existsSync(join(rootfs, 'usr/lib/rkt/guest/kernel')), true);
  });

  it('are entered while they start, by several at once, and stopped in order', async () => {
    const file = the.rkt.tmp.join('uuid');
    const pod = the.rkt.start(run(shellImage(the.rkt, FOREVER), `--uuid-file-save=${file}`));
    const uuid = await uuidOf(pod, file);
    await eventually('the pod runs', async () => (await the.rkt.status(uuid))['state'] === 'running');
    const early = the.rkt.start(['enter', uuid, '/bin/sleep', '100']);
    await eventually('it waits for the guest', () => hasSocket(early.pid));
    early.kill('SIGINT');
    expectStatus(await early.ended, 130);
    await the.rkt.ok(['enter', uuid, '/bin/sh', '-c', 'true'], { timeoutMs: 60_000 });
    const words = ['enter', uuid, '/bin/sh', '-c', 'cat; echo wrong >&2; exit 3'];
    const entered = expectStatus(await the.rkt.run(words, { input: 'hello\n', timeoutMs: 60_000 }), 3);
    assert.deepEqual([entered.stdout, entered.stderr], ['hello\n', 'wrong\n']);
    const codes = await Promise.all(
      [4, 5, 6].map(
        async (code) => (await the.rkt.run(['enter', uuid, '/bin/sh', '-c', `exit ${code}`])).status,
      ),
    );
    assert.deepEqual(codes, [4, 5, 6]);
    await the.rkt.ok(['stop', uuid]);
    const ended = expectStatus(await pod.ended, 0);
    assert.match(ended.output, /stopping/);
    assert.match((await the.rkt.ok(['status', uuid])).stdout, /^app-[a-z0-9-]+=0$/m);
  });

  it('fail with a message when virtiofsd or the kernel of the guest dies, or does nothing', async () => {
    const { pod, pid } = await started();
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number);
    assert.equal(children.length, 1);
    process.kill(children[0] ?? 0, 'SIGKILL');
    const ended = expectStatus(await pod.ended, FAILURE);
    assert.match(ended.output, /virtiofsd, which gives it its files, has ended/);

    const env = { RKT_HYPERVISOR_EXTRA_KERNEL_PARAMS: 'rdinit=/nothing root=/dev/nothing' };
    const panic = expectStatus(
      await the.rkt.run(run(shellImage(the.rkt, 'true')), { env, timeoutMs: 120_000 }),
      FAILURE,
    );
    assert.match(panic.output, /the virtual machine ended by itself: no exit status/);
    assert.match(panic.output, /Kernel panic/);

    const silent = {
      RKT_HYPERVISOR_EXTRA_KERNEL_PARAMS: 'rdinit=/nothing root=/dev/nothing panic=0',
      RKT_KVM_BOOT_SECONDS: '8',
    };
    const halted = expectStatus(
      await the.rkt.run(run(shellImage(the.rkt, 'true')), { env: silent, timeoutMs: 60_000 }),
      FAILURE,
    );
    assert.match(halted.output, /the virtual machine was ended: it had not started in time/);
  });

  it('say so when there is too little memory, for an app or for the machine', async () => {
    const eat = 'x=xxxxxxxxxxxxxxxx; while :; do x=$x$x; done';
    const result = await the.rkt.run([...run(shellImage(the.rkt, eat)), '--memory=32M'], {
      timeoutMs: 120_000,
    });
    // The number of the signal, as for every app that one has ended.
    expectStatus(result, 9);
    assert.match(
      result.stderr,
      /^stage1: the kernel of the virtual machine: .*emory: Killed process \d+ \(sh\)/m,
    );
    // One time in five the kernel does not panic, but waits for memory for ever.
    const env = { RKT_HYPERVISOR_EXTRA_KERNEL_PARAMS: 'mem=40M', RKT_KVM_BOOT_SECONDS: '20' };
    const small = await the.rkt.run(run(shellImage(the.rkt, 'true')), { env, timeoutMs: 120_000 });
    assert.match(
      expectStatus(small, FAILURE).stderr,
      /^.*Kernel panic - not syncing: .*memory|had not started in time$/m,
    );
    const never = await the.rkt.run([...run(shellImage(the.rkt, 'true')), '--memory=100Ti']);
    assert.notEqual(never.status, 0);
    assert.match(never.stderr, /guest RAM: Cannot allocate memory/);
  });

  it('end as their app does on a full disk, and are not begun without room', async () => {
    const data = the.rkt.data;
    openKernel().mount('none', data, 'tmpfs', 0, 'size=640m,mode=755');
    try {
      const image = shellImage(
        the.rkt,
        'dd if=/dev/zero of=/big bs=64k; echo kept > /kept; echo end; exit 7',
        { name: 'example.com/filler' },
      );
      await the.rkt.prepare([...KVM.stage1, image]);
      const fill = join(data, 'fill');
      const leave = (bytes: number): void => {
        writeFileSync(fill, '');
        const { bsize, bavail } = statfsSync(data);
        writeFileSync(fill, Buffer.alloc(bsize * bavail - bytes));
      };
      leave(1 << 20);
      const result = expectStatus(await the.rkt.run(run(image), { timeoutMs: 120_000 }), 7);
      assert.match(result.stdout, /error writing '\/big': No space left on device/);
      assert.deepEqual(KVM.linesOf(result).at(-1), 'end');
      const [uuid = ''] = the.rkt.podsIn('run');
      assert.equal((await the.rkt.status(uuid))['app-filler'], '7');
      leave(0);
      const none = expectStatus(await the.rkt.run(run(image)), FAILURE);
      assert.match(none.stderr, /no space left on device/);
      rmSync(fill);
      await the.rkt.sweep();
    } finally {
      openKernel().umount2(data, MNT_DETACH);
    }
  });

  it('have a terminal whose lines end once, and give it back as it was', async () => {
    const words = run(
      shellImage(the.rkt, 'echo one; read -r line; echo "got $line"; exit 4'),
      '--interactive',
    );
    const rkt = shellQuote([RKT_BIN, ...the.rkt.directoryFlags, ...words]);
    const line = `stty -g; ${rkt}; echo status $?; stty -g`;
    const pod = the.rkt.startBare(
      ['--quiet', '--return', '--flush', '--command', line, '/dev/null'],
      { input: { open: true }, timeoutMs: 120_000 },
      'script',
    );
    await pod.waitFor('one', MINUTES * 60_000);
    pod.write('two\r');
    const { output } = await pod.ended;
    const [before, ...lines] = output.trimEnd().split('\r\n');
    assert.deepEqual(lines, ['one', 'two', 'got two', 'status 4', before]);
    assert.match(before ?? '', /^[0-9a-f]+:5:/);
  });

  it('end with qemu, and leave nothing', async () => {
    const { pod, uuid, pid } = await started();
    process.kill(pid, 'SIGKILL');
    const ended = await pod.ended;
    assert.notEqual(ended.status, 0);
    assert.match(ended.output, /the virtual machine was killed: qemu ended by a signal/);
    assert.match((await the.rkt.ok(['status', '--wait', uuid])).stdout, /^state=exited$/m);
    await the.rkt.ok(['rm', uuid]);
  });

  it('refuse what no virtual machine can do', async () => {
    const image = shellImage(the.rkt, 'true');
    const host = await the.rkt.run([INSECURE, 'run', ...KVM.stage1, '--net=host', image]);
    assert.match(expectStatus(host, FAILURE).stderr, /cannot have the network of the host/);
    const path = the.rkt.tmp.join('empty');
    mkdirSync(path);
    const missing = await the.rkt.run(run(image), { env: { PATH: path } });
    assert.match(expectStatus(missing, FAILURE).stderr, /install the Debian package qemu-system-x86/);
  });
});
