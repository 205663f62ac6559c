// The calls on descriptors of the real kernel. Those that need a terminal or a network of their own run in fixtures.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, readFileSync, readSync, writeSync } from 'node:fs';
import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

import { O_CLOEXEC, O_NONBLOCK } from './constants.ts';
import { openKernel } from './libc.ts';
import { runFixture } from './testing/run-fixture.ts';

const isRoot = process.getuid?.() === 0;

/** Flags of a descriptor as the kernel has them (proc_pid_fdinfo(5)). */
function flagsOf(fd: number): number {
  const [, octal = ''] = /^flags:\s+(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8')) ?? [];
  return Number.parseInt(octal, 8);
}

describe('descriptors', () => {
  const kernel = openKernel();
  let open: number[] = [];
  afterEach(() => {
    for (const fd of open) closeSync(fd);
    open = [];
  });
  const pipe = (): { read: number; write: number } => {
    const ends = kernel.pipe();
    open.push(ends.read, ends.write);
    return ends;
  };
  const socketPair = (): readonly [number, number] => {
    const ends = kernel.socketPair();
    open.push(...ends);
    return ends;
  };

  it('of pipes and sockets carry bytes, and end when a program starts', () => {
    const { read, write } = pipe();
    const [one, other] = socketPair();
    for (const [from, to] of [
      [write, read],
      [one, other],
      [other, one],
    ] as const) {
      writeSync(from, 'through');
      const bytes = Buffer.alloc(16);
      assert.equal(bytes.toString('latin1', 0, readSync(to, bytes)), 'through');
    }
    for (const fd of open) assert.ok((flagsOf(fd) & O_CLOEXEC) !== 0, String(fd));
  });

  it('signal what can be read, and that the other end was closed', async () => {
    const { read, write } = kernel.pipe();
    open.push(read);
    let signals = 0;
    const count = (): void => {
      signals += 1;
    };
    process.on('SIGUSR2', count);
    try {
      kernel.signalOnInput(read, process.pid, constants.signals.SIGUSR2);
      assert.throws(() => readSync(read, Buffer.alloc(1)), { code: 'EAGAIN' });
      const signalled = async (times: number): Promise<void> => {
        for (let tries = 0; signals < times && tries < 500; tries += 1) await sleep(10);
        assert.equal(signals, times);
      };
      writeSync(write, 'x');
      await signalled(1);
      assert.equal(readSync(read, Buffer.alloc(1)), 1);
      closeSync(write);
      await signalled(2);
    } finally {
      process.off('SIGUSR2', count);
    }
  });

  it('wait again after setBlocking', () => {
    const { read } = pipe();
    kernel.signalOnInput(read, process.pid, constants.signals.SIGURG);
    assert.ok((flagsOf(read) & O_NONBLOCK) !== 0);
    kernel.setBlocking(read);
    assert.equal(flagsOf(read) & O_NONBLOCK, 0);
  });

  it('that are no terminal have no settings', () => {
    assert.throws(() => kernel.makeTerminalRaw(pipe().read), { code: 'ENOTTY' });
  });

  it('of a terminal are made raw, and as they were', function () {
    if (spawnSync('script', ['--version']).error !== undefined) this.skip();
    const { stdout } = runFixture(import.meta.url, './testing/terminal.test.fixture.ts', {
      shell: 'script --quiet --return --command "\'$1\' $2 $3 $4" /dev/null </dev/null',
    });
    const { before, raw, after } = JSON.parse(stdout) as Record<'before' | 'raw' | 'after', string>;
    assert.match(before, /^[0-9a-f:]+\n$/);
    assert.equal(after, before);
    for (const setting of ['-icanon', '-echo', '-isig', '-icrnl', '-ixon', '-opost', 'cs8']) {
      assert.ok(raw.split(/\s+/).includes(setting), `${setting} in ${raw}`);
    }
    assert.match(raw, /min = 1; time = 0;/);
  });

  it('of a device keep it up while they are open', function () {
    if (!isRoot || !existsSync('/dev/net/tun')) this.skip();
    const { stdout, stderr } = runFixture(import.meta.url, './testing/tap.test.fixture.ts', {
      shell: 'exec unshare --net -- "$@"',
    });
    const { open: device, closed } = JSON.parse(stdout) as Record<'open' | 'closed', string>;
    assert.match(device, /: rkt-test0: <[^>]*\bUP\b/, stderr);
    assert.equal(closed, '');
  });
});
