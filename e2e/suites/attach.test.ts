// rkt attach, and where the standard streams of apps lead (contract stage0 8.19, stage1 8.1-8.3).

import assert from 'node:assert/strict';
import { existsSync, readFileSync, readlinkSync, rmSync } from 'node:fs';

import { BASE_ENVIRONMENT, RKT_BIN } from '../lib/environment.ts';
import { FLAVOURS } from '../lib/flavours.ts';
import { shellImage } from '../lib/images.ts';
import { eventually, execute, Running, shellQuote } from '../lib/process.ts';
import { FAILURE, INSECURE } from '../lib/rkt.ts';
import { uuidOf } from '../lib/pods.ts';
import { skip } from '../lib/requires.ts';
import { Sandbox } from '../lib/sandbox.ts';
import { suite } from '../lib/suite.ts';

const [nspawn] = FLAVOURS.filter(({ can }) => can.severalApps);
const [fly] = FLAVOURS.filter(({ can }) => !can.isolated);

const STREAMS = ['--stdin=stream', '--stdout=stream', '--stderr=stream'];
const TTY = ['--stdin=tty', '--stdout=tty', '--stderr=tty'];
const CTRL_P = '\x10';
const CTRL_Q = '\x11';

/** Says back what it is told, on both streams. */
const PARROT =
  'while read -r line; do echo "out $line"; echo "err $line" >&2; [ "$line" = end ] && exit 7; done';
/** A prompt, and what a terminal is to its program. */
const SHELL = 'while printf "ready> " && read -r line; do eval "$line"; done';

suite('rkt attach', ['root', 'busybox', 'overlayfs', 'program:script'], (the) => {
  before(function () {
    if (nspawn === undefined || !existsSync(nspawn.image)) skip(this, 'needs a flavour to attach to');
  });
  const uuidFile = (): string => the.rkt.tmp.join('uuid');
  /** Starts a pod and waits until its apps are there. */
  const start = async (...args: readonly string[]): Promise<{ pod: Running; uuid: string }> => {
    rmSync(uuidFile(), { force: true });
    const pod = the.rkt.start(
      [
        INSECURE,
        'run',
        ...(nspawn?.stage1 ?? []),
        ...(nspawn?.net ?? []),
        `--uuid-file-save=${uuidFile()}`,
        ...args,
      ],
      { timeoutMs: 120_000 },
    );
    const uuid = await uuidOf(pod, uuidFile());
    await the.rkt.ok(['status', '--wait-ready=30s', uuid]);
    return { pod, uuid };
  };
  const attach = (uuid: string, ...flags: readonly string[]): Running =>
    the.rkt.start(['attach', ...flags, uuid], { input: { open: true } });
  const attachOnTerminal = (uuid: string, ...flags: readonly string[]): Running =>
    the.rkt.startOnTerminal(['attach', ...flags, uuid]);

  describe('streams', () => {
    it('carry bytes both ways, to each its own, and end with the app', async () => {
      const { pod, uuid } = await start(shellImage(the.rkt, PARROT), ...STREAMS);
      const client = attach(uuid);
      client.write('one\n');
      await client.waitFor('err one\n');
      client.write('end\n');
      const result = await client.ended;
      assert.deepEqual(
        [result.status, result.stdout, result.stderr],
        [0, 'out one\nout end\n', 'err one\nerr end\n'],
      );
      assert.equal((await pod.ended).status, 7);
    });

    it('are listed', async () => {
      const { uuid } = await start(
        shellImage(the.rkt, PARROT),
        '--name=a-b',
        '--stdin=stream',
        ...TTY.slice(1),
      );
      const { stdout } = await the.rkt.ok(['attach', '--mode=list', uuid]);
      const targets = ['stdin', 'tty'].map((name) => ({
        name,
        domain: 'unix',
        address: `/rkt/iottymux/a-b/sock-${name}`,
      }));
      assert.equal(stdout, JSON.stringify({ version: 1, targets }, undefined, 4));
    });

    it('can be chosen, and come and go while the app runs', async () => {
      const { uuid } = await start(shellImage(the.rkt, PARROT), ...STREAMS);
      const said = await the.rkt.ok(['attach', '--mode=stdin', uuid], { input: 'nobody hears\n' });
      assert.equal(said.output, '');
      const heard = attach(uuid, '--mode=stderr');
      const speaker = attach(uuid, '--mode=stdin,stdout');
      await eventually('both ways', () => {
        speaker.write('again\n');
        return heard.output.includes('err again\n') && speaker.output.includes('out again\n');
      });
      assert.doesNotMatch(heard.output, /out|nobody/);
      assert.doesNotMatch(speaker.output, /err|nobody/);
      speaker.kill('SIGKILL');
      heard.kill('SIGTERM');
      assert.equal((await heard.ended).status, 143);
      const late = attach(uuid);
      late.write('end\n');
      assert.equal((await late.ended).stdout, 'out end\n');
    });

    it('go to an app of another user, which can open them by name', async () => {
      const script = 'read -r line; echo "$(id -u) $line" > /proc/self/fd/1; echo done';
      const { uuid } = await start(shellImage(the.rkt, script), '--user=5000', '--group=6000', ...STREAMS);
      const client = attach(uuid);
      client.write('here\n');
      assert.equal((await client.ended).stdout, '5000 here\ndone\n');
    });

    it('of an app nobody is attached to stop nothing', async () => {
      const { pod } = await start(
        shellImage(the.rkt, 'sleep 1; head -c 20000000 /dev/zero; exit 3'),
        '--stdout=stream',
      );
      assert.equal((await pod.ended).status, 3);
    });
  });

  describe('a terminal', () => {
    it('is one, has the size of ours, and is left with ctrl-p ctrl-q and found again', async () => {
      const { uuid } = await start(shellImage(the.rkt, SHELL), ...TTY);
      const first = attachOnTerminal(uuid);
      await eventually('a prompt', () => {
        first.write('\r');
        return first.output.includes('ready> ');
      });
      first.write('tty; test -t 2 && echo all of "it"; kept=$((40+2))\r');
      await first.waitFor(/\/dev\/pts\/\d+\r\nall of it\r\n/);
      const local = readlinkSync(`/proc/${childOf(first.pid)}/fd/0`);
      assert.equal((await execute('stty', ['-F', local, 'rows', '47', 'cols', '131'])).status, 0);
      await eventually('the size', () => {
        first.write('stty size\r');
        return /47 131\r\n/.test(first.output);
      });
      assert.match((await execute('stty', ['-F', local, '-a'])).stdout, / -icanon .* -echo /s);
      first.write(`echo a${CTRL_P}b${CTRL_P}${CTRL_Q}`);
      const left = await first.ended;
      assert.equal(left.status, 0);
      assert.match(left.output, /detached\r?\n/);
      const second = attachOnTerminal(uuid);
      await eventually('an answer', () => {
        second.write('\x15\recho kept "=" $kept\r');
        return second.output.includes('kept = 42\r\n');
      });
      second.write('exit 0\r');
      assert.equal((await second.ended).status, 0);
    });

    it('is restored however rkt attach ends', async () => {
      const { pod, uuid } = await start(shellImage(the.rkt, SHELL), ...TTY);
      const ends: readonly (readonly [number, (shell: Running, attached: number) => void])[] = [
        [143, (_, attached) => process.kill(attached, 'SIGTERM')],
        [129, (_, attached) => process.kill(attached, 'SIGHUP')],
        [130, (_, attached) => process.kill(attached, 'SIGINT')],
        [131, (_, attached) => process.kill(attached, 'SIGQUIT')],
        [0, (shell) => shell.write(`${CTRL_P}${CTRL_Q}`)],
        [0, (shell) => shell.write('\x15\rexit 0\r')],
      ];
      for (const [status, end] of ends) {
        const line = shellQuote([RKT_BIN, ...the.rkt.directoryFlags, 'attach', uuid]);
        const script = `before=$(stty -g); ${line}; echo "status $?"; [ "$before" = "$(stty -g)" ] && echo as before`;
        const shell = new Running('script', ['--quiet', '--flush', '--command', script, '/dev/null'], {
          input: { open: true },
          env: BASE_ENVIRONMENT,
        });
        const attached = await eventually('a connection', () => {
          const child = childOf(childOf(shell.pid));
          return child > 0 && isConnected(child) ? child : undefined;
        });
        end(shell, attached);
        await shell.waitFor(new RegExp(`status ${status}\r\nas before\r\n`));
        await shell.ended;
      }
      assert.equal((await pod.ended).status, 0);
    });

    it('takes the output only, or the input only', async () => {
      const { uuid } = await start(shellImage(the.rkt, SHELL), ...TTY);
      const watcher = attach(uuid, '--mode=tty-out');
      const typist = attach(uuid, '--mode=tty-in');
      await eventually('what was typed', () => {
        typist.write('echo seen "by" both\n');
        return watcher.output.includes('seen by both\r\n');
      });
      assert.equal(typist.output, '');
      typist.closeInput();
      assert.equal((await typist.ended).status, 0);
    });
  });

  it('serves ten at a terminal and ten at a stream, all alike', async function () {
    this.timeout(120_000);
    const lines = 2000;
    const count = `read -r go; i=0; while [ $i -lt ${lines} ]; do echo "line $i"; i=$((i+1)); done; read -r go`;
    const { uuid } = await start(
      shellImage(the.rkt, count, { name: 'example.com/t' }),
      ...TTY,
      shellImage(the.rkt, count, { name: 'example.com/s' }),
      ...STREAMS,
    );
    const expected = Array.from({ length: lines }, (_, i) => `line ${i}\n`).join('');
    for (const [app, text] of [
      ['t', expected.replaceAll('\n', '\r\n')],
      ['s', expected],
    ] as const) {
      const clients = Array.from({ length: 10 }, () => attach(uuid, `--app=${app}`));
      await eventually('all attached', () => clients.every(({ pid }) => isConnected(pid)), 60_000);
      clients[3]?.write('go\n');
      for (const client of clients) await client.waitFor(/line 1999\r?\n/, 60_000);
      clients[7]?.write('end\n');
      for (const client of clients) {
        const { status, stdout } = await client.ended;
        assert.equal(status, 0);
        assert.equal(stdout.replace(/^go\r\n/, '').replace(/end\r\n$/, ''), text);
      }
    }
  });

  it('reaches apps of a sandbox, started again', async () => {
    const sandbox = await Sandbox.start(the.rkt, [...(nspawn?.stage1 ?? []), '--net=none']);
    const image = shellImage(the.rkt, PARROT, { name: 'example.com/parrot' });
    await the.rkt.ok([INSECURE, 'fetch', image]);
    await sandbox.app('add', 'example.com/parrot', '--name=parrot', ...STREAMS);
    await the.rkt.fails(['attach', sandbox.uuid], 'app "parrot" has nothing to attach to');
    for (const word of ['first', 'second']) {
      await sandbox.app('start', '--app=parrot');
      const client = attach(sandbox.uuid);
      client.write(`${word}\nend\n`);
      assert.equal((await client.ended).stdout, `out ${word}\nout end\n`);
      await sandbox.exited('parrot');
    }
    const refused = await the.rkt.run([
      'app',
      'add',
      sandbox.uuid,
      'example.com/parrot',
      '--name=other',
      '--stdin=interactive',
    ]);
    assert.match(refused.stderr, /stdin mode "interactive" is for pods of rkt run/);
    await sandbox.app('rm', '--app=parrot');
    assert.equal(await sandbox.stop(), 0);
  });

  describe('refuses', () => {
    it('modes that mean nothing', async () => {
      await the.rkt.fails(['attach', '--mode=x', 'a'], 'unknown endpoint "x"');
      await the.rkt.fails(
        ['attach', '--mode=tty,stdout', 'a'],
        'incompatible endpoints "tty,stdout", cannot simultaneously attach TTY and streams',
      );
      await the.rkt.fails([INSECURE, 'run', 'a', '--stdout=x'], 'invalid stdout mode "x"');
    });
    it('endpoints that the app does not have', async () => {
      const { uuid } = await start(shellImage(the.rkt, PARROT), '--stdin=stream');
      await the.rkt.fails(['attach', '--mode=tty', uuid], 'has no endpoint "tty"');
    });
    it('apps that only log', async () => {
      const { uuid } = await start(shellImage(the.rkt, 'sleep 100'));
      await the.rkt.fails(['attach', uuid], 'has nothing to attach to');
    });
    it('with fly, before there is a pod', async function () {
      if (fly === undefined || !existsSync(fly.image)) skip(this, 'needs the flavour fly');
      const run = [INSECURE, 'run', ...fly.stage1, shellImage(the.rkt, 'echo hello; echo bad >&2')];
      const refused = await the.rkt.run([...run, '--stdout=tty']);
      assert.equal(refused.status, FAILURE);
      assert.match(
        refused.stderr,
        /stdout mode "tty" needs a stage1 that can be attached to, and .*fly cannot/,
      );
      assert.doesNotMatch(refused.output, /hello/);
      assert.equal((await the.rkt.ok(['list', '--no-legend', '--full'])).stdout.includes('running'), false);
      const quiet = await the.rkt.run([...run, '--stderr=null', '--stdout=interactive']);
      assert.deepEqual([quiet.status, quiet.stdout, quiet.stderr], [0, 'hello\n', '']);
    });
  });

  it('needs none of it for null, log and interactive', async () => {
    const script = 'echo "to out"; echo "to err" >&2; test -t 0 && echo "on terminal"';
    const image = shellImage(the.rkt, script);
    const { pod } = await start(image, '--stdout=null');
    const { output } = await pod.ended;
    assert.match(output, /to err/);
    assert.doesNotMatch(output, /to out/);
    const terminal = the.rkt.startOnTerminal([
      INSECURE,
      'run',
      ...(nspawn?.stage1 ?? []),
      '--net=none',
      image,
      '--stdin=interactive',
      '--stdout=interactive',
      '--stderr=log',
    ]);
    const result = await terminal.ended;
    assert.match(result.output, /^to out\r?$/m);
    assert.match(result.output, /^on terminal\r?$/m);
    assert.match(result.output, /busybox\[\d+\]: to err/);
  });
});

/** The program that script(1) runs. */
function childOf(pid: number): number {
  return Number(text(`/proc/${pid}/task/${pid}/children`).trim());
}

// rkt attach is a program without threads once it is connected.
function isConnected(pid: number): boolean {
  // Number 7 is poll(2): it connects before.
  return text(`/proc/${pid}/comm`) === 'attach\n' && text(`/proc/${pid}/syscall`).startsWith('7 ');
}

/** What a file of /proc says; nothing for a process that has ended. */
function text(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
