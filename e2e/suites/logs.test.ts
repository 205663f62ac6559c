// `rkt logs`: the journals of pods, running and exited (contract stage1 2.14, 7, 8).

import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';

import { stage1StatusRoot, stage1TreeIdFile } from '@rkt/pod-layout/pod-paths';
import { JOURNAL_DIR, onHost } from '@rkt/pod-layout/stage1-paths';

import { FLAVOURS } from '../lib/flavours.ts';
import { shellImage, tinyImage } from '../lib/images.ts';
import { eventually, type Running } from '../lib/process.ts';
import { expectStatus, FAILURE, INSECURE } from '../lib/rkt.ts';
import { skip } from '../lib/requires.ts';
import { suite } from '../lib/suite.ts';

const [nspawn] = FLAVOURS.filter(({ can }) => can.severalApps);
const [fly] = FLAVOURS.filter(({ can }) => !can.isolated);

suite('rkt logs', ['root', 'busybox', 'overlayfs'], (the) => {
  before(function () {
    if (nspawn === undefined || !existsSync(nspawn.image)) skip(this, 'needs a flavour with a journal');
  });
  const uuidFile = (): string => the.rkt.tmp.join('uuid');
  const start = (...args: readonly string[]): Running => {
    rmSync(uuidFile(), { force: true });
    return the.rkt.start([
      INSECURE,
      'run',
      ...(nspawn?.stage1 ?? []),
      ...(nspawn?.net ?? []),
      `--uuid-file-save=${uuidFile()}`,
      ...args,
    ]);
  };
  const uuidOf = (): string => readFileSync(uuidFile(), 'utf8').trim();
  /** Runs a pod to its end and gives its UUID. */
  const runToEnd = async (...args: readonly string[]): Promise<string> => {
    await start(...args).ended;
    return uuidOf();
  };
  const logs = async (...args: readonly string[]): Promise<string> =>
    (await the.rkt.ok(['logs', ...args])).stdout;

  describe('of an exited pod', () => {
    it('prints what the apps wrote, and nothing else', async () => {
      const uuid = await runToEnd(
        shellImage(the.rkt, 'echo one; echo two >&2; echo; echo "  three"; exit 3'),
      );
      assert.match(
        await logs(uuid.slice(0, 8)),
        /^(?:[A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d busybox\[\d+\]: (?:one|two| {2}three)\n){3}$/,
      );
      assert.equal(await logs('--output=cat', uuid), 'one\ntwo\n  three\n');
      assert.equal(await logs(`--uuid-file=${uuidFile()}`, '--output=cat', '--lines=1'), '  three\n');
      const entries = (await logs('--output=json', uuid))
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as Record<string, string>);
      assert.deepEqual(
        entries.map(({ MESSAGE }) => MESSAGE),
        ['one', 'two', '  three'],
      );
      assert.equal(entries[0]?.['_SYSTEMD_UNIT'], 'busybox.service');
    });
    it('goes on until gc deletes the pod', async () => {
      const uuid = await runToEnd(shellImage(the.rkt, 'echo still here'));
      await the.rkt.ok(['gc', '--mark-only']);
      assert.equal(await logs('--output=cat', uuid), 'still here\n');
      await the.rkt.ok(['gc', '--grace-period=0']);
      await the.rkt.fails(['logs', uuid], 'no matches found');
    });
    it('--no-overlay keeps it as well', async () => {
      const uuid = await runToEnd('--no-overlay', shellImage(the.rkt, 'echo copied'));
      assert.equal(await logs('--output=cat', uuid), 'copied\n');
    });
    it('--app chooses one of two apps', async () => {
      const [web, db] = ['web', 'db'].map((name) =>
        shellImage(the.rkt, `echo from ${name}`, { name: `example.com/${name}` }),
      ) as [string, string];
      const uuid = await runToEnd(web, db);
      assert.equal(await logs('--app=web', '--output=cat', uuid), 'from web\n');
      assert.equal(await logs('--app=db', '--output=cat', uuid), 'from db\n');
      assert.deepEqual((await logs('--output=cat', uuid)).trimEnd().split('\n').sort(), [
        'from db',
        'from web',
      ]);
      await the.rkt.fails(['logs', '--app=cache', uuid], 'app cache is not present in pod');
    });
    it('keeps the output of every user in order', async () => {
      const uuid = await runToEnd(shellImage(the.rkt, 'echo as $(id -u)'), '--user=5000');
      assert.equal(await logs('--output=cat', uuid), 'as 5000\n');
    });
    it('shows bytes that are no text as they are', async () => {
      const uuid = await runToEnd(shellImage(the.rkt, String.raw`printf 'a\377\033[1mb\n'`));
      const { stdout } = await the.rkt.ok(['logs', '--output=json', uuid]);
      const { MESSAGE } = JSON.parse(stdout) as { MESSAGE: number[] };
      assert.deepEqual(MESSAGE, [...Buffer.from('a\xff\x1b[1mb', 'latin1')]);
    });
  });

  describe('of a running pod', () => {
    it('prints what is there, and follows until the end', async () => {
      const running = start(
        shellImage(
          the.rkt,
          'echo first; while [ ! -e /go ]; do sleep 0.1; done; for i in 1 2 3; do echo last $i; done',
        ),
      );
      await running.waitFor('first');
      const uuid = uuidOf();
      await eventually('the journal has it', async () => (await logs('--output=cat', uuid)) === 'first\n');
      const follower = the.rkt.start(['logs', '--follow', '--output=cat', uuid]);
      await follower.waitFor('first\n');
      const late = the.rkt.start(['logs', '--follow', '--lines=0', '--output=cat', uuid]);
      expectStatus(await the.rkt.run(['enter', uuid, '/bin/sh', '-c', ': > /go']), 0);
      expectStatus(await running.ended, 0);
      const all = expectStatus(await follower.ended, 0);
      assert.deepEqual([all.stdout, all.stderr], ['first\nlast 1\nlast 2\nlast 3\n', '']);
      expectStatus(await late.ended, 0);
    });
    it('follows from before the first line, and after stop', async () => {
      const running = start(shellImage(the.rkt, 'echo up; trap "echo bye; exit 0" TERM; sleep 1000 & wait'));
      await eventually(
        'the pod is there',
        () => existsSync(uuidFile()) && the.rkt.podsIn('run').length === 1,
      );
      const follower = the.rkt.start(['logs', '--follow', '--output=cat', uuidOf()]);
      await follower.waitFor('up\n');
      await the.rkt.ok(['stop', uuidOf()]);
      await running.ended;
      assert.equal((await follower.ended).stdout, 'up\nbye\n');
      assert.equal(await logs('--output=cat', uuidOf()), 'up\nbye\n');
    });
    it('survives stop --force', async () => {
      const running = start(shellImage(the.rkt, 'echo up; sleep 1000'));
      await running.waitFor('up');
      const follower = the.rkt.start(['logs', '--follow', '--output=cat', uuidOf()]);
      await follower.waitFor('up\n');
      await the.rkt.ok(['stop', '--force', uuidOf()]);
      await running.ended;
      assert.equal(expectStatus(await follower.ended, 0).stdout, 'up\n');
    });
    it('--since leaves out what is older', async () => {
      const running = start(
        shellImage(the.rkt, 'echo old; while [ ! -e /go ]; do sleep 0.1; done; echo new; sleep 1000'),
      );
      await running.waitFor('old');
      const uuid = uuidOf();
      await eventually('the journal has it', async () => (await logs('--output=cat', uuid)) === 'old\n');
      const between = new Date().toISOString();
      expectStatus(await the.rkt.run(['enter', uuid, '/bin/sh', '-c', ': > /go']), 0);
      await running.waitFor('new');
      await eventually('the journal has it', async () => (await logs('--output=cat', uuid)) === 'old\nnew\n');
      assert.equal(await logs('--output=cat', `--since=${between}`, uuid), 'new\n');
      assert.equal(await logs('--output=cat', '--since=1h', uuid), 'old\nnew\n');
      assert.equal(await logs('--output=cat', '--since=1h', '--lines=1', uuid), 'new\n');
      assert.equal(await logs('--since=2999-01-01', uuid), '');
    });
  });

  describe('refuses', () => {
    it('pods that have not run', async () => {
      const uuid = await the.rkt.prepare([...(nspawn?.stage1 ?? []), tinyImage(the.rkt, { exec: ['/x'] })]);
      await the.rkt.fails(['logs', uuid], `pod "${uuid}" has not been run, it is prepared`);
    });
    it('pods whose stage1 keeps no journal', async function () {
      if (fly === undefined || !existsSync(fly.image)) skip(this, 'needs a flavour without a journal');
      await the.rkt.ok(fly.run(`--uuid-file-save=${uuidFile()}`, shellImage(the.rkt, 'echo x')));
      const { stderr } = await the.rkt.fails(['logs', uuidOf()], `logging unsupported for pod "${uuidOf()}"`);
      assert.equal(stderr.trimEnd().split('\n').length, 1);
    });
    it('words and values that make no sense', async () => {
      expectStatus(await the.rkt.run(['logs']), FAILURE);
      await the.rkt.fails(['logs', 'ffff0000'], 'no matches found for "ffff0000"');
      await the.rkt.fails(['logs', '--output=xml', 'ffff0000'], '"xml" is not a form of output');
      await the.rkt.fails(['logs', '--since=soon', 'ffff0000'], 'is neither a time like');
      await the.rkt.fails(['logs', '--lines=-1', 'ffff0000'], 'out of range');
    });
  });

  it('reads nothing that the pod points to elsewhere', async () => {
    const uuid = await runToEnd(shellImage(the.rkt, 'echo mine'));
    const pod = the.rkt.podDir(uuid);
    const tree = readFileSync(stage1TreeIdFile(pod), 'utf8').trim();
    const directory = `${onHost(stage1StatusRoot(pod, tree), JOURNAL_DIR)}/${uuid.replaceAll('-', '')}`;
    const elsewhere = the.rkt.tmp.join('elsewhere.journal');
    writeFileSync(elsewhere, readFileSync(`${directory}/system.journal`));
    rmSync(`${directory}/system.journal`);
    symlinkSync(elsewhere, `${directory}/system.journal`);
    assert.equal(await logs(uuid), '');
    writeFileSync(`${directory}/system@1.journal`, Buffer.alloc(4096, 'x'));
    const { stdout, stderr } = await the.rkt.ok(['logs', uuid]);
    assert.equal(stdout, '');
    assert.match(stderr, /^logs: warning: journal file "system@1.journal" cannot be read whole: .*\n$/);
    rmSync(directory, { recursive: true });
    symlinkSync(the.rkt.tmp.path, directory);
    await the.rkt.fails(['logs', uuid], 'too many levels of symbolic links');
  });
});
