// Much through rkt attach: no byte lost, doubled or out of order, with clients that are slow, go, or never read.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fstatSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';

import { BASE_ENVIRONMENT, RKT_BIN } from '../lib/environment.ts';
import { FLAVOURS } from '../lib/flavours.ts';
import { shellImage } from '../lib/images.ts';
import { eventually, Running, shellQuote } from '../lib/process.ts';
import { FAILURE, INSECURE } from '../lib/rkt.ts';
import { uuidOf } from '../lib/pods.ts';
import { skip } from '../lib/requires.ts';
import { suite } from '../lib/suite.ts';

const COUNT = 400_000;
const FILLER = 'abcdefghi'.repeat(10);
/** 40 MB of lines that say which they are, once told to; then waits for another line. */
const WRITER = `read -r go; awk 'BEGIN{for(i=0;i<${COUNT};i++) printf "%09d ${FILLER}\\n", i}'; read -r end`;

const TIMEOUT_MS = 180_000;

suite('rkt attach under load', ['root', 'busybox', 'overlayfs'], (the) => {
  const nspawn = FLAVOURS.find(({ can }) => can.severalApps);
  before(function () {
    if (nspawn === undefined || !existsSync(nspawn.image)) skip(this, 'needs a flavour to attach to');
  });
  const start = async (...args: readonly string[]): Promise<{ pod: Running; uuid: string }> => {
    const uuidFile = the.rkt.tmp.join('uuid');
    rmSync(uuidFile, { force: true });
    const flags = [...(nspawn?.stage1 ?? []), '--net=none', `--uuid-file-save=${uuidFile}`];
    const pod = the.rkt.start([INSECURE, 'run', ...flags, ...args], { timeoutMs: TIMEOUT_MS });
    const uuid = await uuidOf(pod, uuidFile);
    await the.rkt.ok(['status', '--wait-ready=30s', uuid]);
    return { pod, uuid };
  };
  /** rkt attach in a line of shell, `%` in its place; what it prints is for programs, not for this process. */
  const shell = (line: string, ...args: readonly string[]): Running => {
    const attach = shellQuote([RKT_BIN, ...the.rkt.directoryFlags, 'attach', ...args]);
    return new Running('sh', ['-c', line.replace('%', attach)], {
      env: BASE_ENVIRONMENT,
      timeoutMs: TIMEOUT_MS,
    });
  };
  const attached = (...clients: readonly Running[]): Promise<unknown> =>
    eventually('all attached', () => clients.every(isAttached), 60_000);

  for (const [what, streams, end] of [
    ['a stream', ['--stdin=stream', '--stdout=stream'], '\n'],
    ['a terminal', ['--stdin=stream', '--stdout=tty'], '\r\n'],
  ] as const) {
    it(`gives everybody at ${what} the same bytes`, async function () {
      this.timeout(2 * TIMEOUT_MS);
      const { pod, uuid } = await start(shellImage(the.rkt, WRITER), ...streams);
      const mode = what === 'a stream' ? '--mode=stdout' : '--mode=tty-out';
      // The app waits for this one until somebody has come late.
      const flag = the.rkt.tmp.join(`go-on-${mode}`);
      const clients = [
        ...Array.from({ length: 4 }, () => shell('% | sha256sum', mode, uuid)),
        shell(`% | { while [ ! -e ${flag} ]; do sleep 0.1; done; sha256sum; }`, mode, uuid),
      ];
      const leaver = shell('% | head -c 100000 | wc -c', mode, uuid);
      await attached(...clients, leaver);
      await the.rkt.ok(['attach', '--mode=stdin', uuid], { input: 'go\n' });
      assert.equal((await leaver.ended).stdout.trim(), '100000');
      const file = the.rkt.tmp.join('late');
      const late = shell(`% > ${file}`, mode, uuid);
      await attached(late);
      writeFileSync(flag, '');
      const last = Buffer.from(lineOf(COUNT - 1, end));
      await eventually('the last line', () => tailOf(file, last.length).equals(last), TIMEOUT_MS);
      await the.rkt.ok(['attach', '--mode=stdin', uuid], { input: 'end\n' });
      const expected = createHash('sha256');
      for (let i = 0; i < COUNT; i += 1) expected.update(lineOf(i, end));
      const sum = expected.digest('hex');
      for (const client of clients) assert.equal((await client.ended).stdout.split(' ', 1)[0], sum);
      await late.ended;
      assertTail(readFileSync(file, 'latin1'), end);
      assert.equal((await pod.ended).status, 0);
    });
  }

  it('gives an app the lines of all who speak, each whole and in order', async function () {
    this.timeout(2 * TIMEOUT_MS);
    const speakers = ['a', 'b', 'c'];
    const each = 50_000;
    const inputs = speakers.map((name) => {
      const file = the.rkt.tmp.join(`input-${name}`);
      const lines = Array.from({ length: each }, (_, i) => `${name} ${i} ${'x'.repeat(i % 300)}\n`);
      writeFileSync(file, lines.join(''));
      return { file, bytes: lines.reduce((sum, line) => sum + line.length, 0) };
    });
    const total = inputs.reduce((sum, { bytes }) => sum + bytes, 0);
    const { uuid } = await start(
      shellImage(the.rkt, `read -r go; head -c ${total}`),
      '--stdin=stream',
      '--stdout=stream',
    );
    const file = the.rkt.tmp.join('echo');
    const hearer = shell(`% > ${file}`, '--mode=stdout', uuid);
    await attached(hearer);
    await the.rkt.ok(['attach', '--mode=stdin', uuid], { input: 'go\n' });
    for (const input of inputs) shell(`% < ${input.file}`, '--mode=stdin', uuid);
    await hearer.ended;
    const next = new Map(speakers.map((name) => [name, 0]));
    for (const line of readFileSync(file, 'latin1').trimEnd().split('\n')) {
      const [name = '', number, filler = ''] = line.split(' ');
      const wanted = next.get(name) ?? -1;
      assert.deepEqual([Number(number), filler.length], [wanted, wanted % 300], line);
      next.set(name, wanted + 1);
    }
    assert.deepEqual([...next.values()], [each, each, each]);
  });

  it('lets go of who never reads, and tells them; the app goes on', async function () {
    this.timeout(2 * TIMEOUT_MS);
    const { pod, uuid } = await start(
      shellImage(the.rkt, `${WRITER}; read -r more`),
      '--stdin=stream',
      '--stdout=stream',
    );
    const [flag, file] = [the.rkt.tmp.join('go-on'), the.rkt.tmp.join('heard')];
    const idler = shell(
      `{ %; echo "status $?" >&2; } | { while [ ! -e ${flag} ]; do sleep 0.1; done; wc -c; }`,
      '--mode=stdout',
      uuid,
    );
    const reader = shell(`% > ${file}`, '--mode=stdout', uuid);
    await attached(idler, reader);
    await the.rkt.ok(['attach', '--mode=stdin', uuid], { input: 'go\nend\n' });
    const bytes = COUNT * lineOf(0, '\n').length;
    await eventually('the reader has all', () => statSync(file).size === bytes, 90_000);
    writeFileSync(flag, '');
    const { stdout, stderr } = await idler.ended;
    assert.match(stderr, /^attach: the pod ended the connection: .* was not read for 30 seconds$/m);
    assert.match(stderr, new RegExp(`^status ${FAILURE}$`, 'm'));
    assert.ok(Number(stdout) < bytes);
    await the.rkt.ok(['attach', '--mode=stdin', uuid], { input: 'more\n' });
    await reader.ended;
    assert.equal((await pod.ended).status, 0);
  });
});

const lineOf = (number: number, end: string): string => `${String(number).padStart(9, '0')} ${FILLER}${end}`;

function tailOf(file: string, length: number): Buffer {
  const [fd, tail] = [openSync(file, 'r'), Buffer.alloc(length)];
  try {
    readSync(fd, tail, 0, length, Math.max(0, fstatSync(fd).size - length));
  } finally {
    closeSync(fd);
  }
  return tail;
}

/** What somebody who came late has: all from some byte on. */
function assertTail(heard: string, end: string): void {
  const width = lineOf(0, end).length;
  const whole = Math.floor(heard.length / width);
  for (let i = 1; i <= whole; i += 1) {
    const at = heard.length - i * width;
    assert.equal(heard.slice(at, at + width), lineOf(COUNT - i, end));
  }
  const rest = heard.length % width;
  assert.ok(lineOf(COUNT - whole - 1, end).endsWith(heard.slice(0, rest)));
}

/** Whether one of the programs that a shell runs is a connection, which is in poll(2) once it has connected. */
function isAttached(shell: Running): boolean {
  return text(`/proc/${shell.pid}/task/${shell.pid}/children`)
    .trim()
    .split(' ')
    .flatMap((pid) => [pid, ...text(`/proc/${pid}/task/${pid}/children`).trim().split(' ')])
    .some((pid) => text(`/proc/${pid}/comm`) === 'attach\n' && text(`/proc/${pid}/syscall`).startsWith('7 '));
}

function text(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
