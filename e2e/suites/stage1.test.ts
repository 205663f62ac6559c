// How a stage1 image is chosen and what it is given (contract stage0 8.8, 8.10, 9.2, stage1 1.1-1.6, 14.5).

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';

import { buildAci } from '@rkt/testkit/aci-builder';
import { startImageServer } from '@rkt/testkit/image-server';
import {
  STUB_MESSAGE,
  STUB_NAME,
  STUB_RUN_FOREVER,
  STUB_RUN_RECORDING,
  STUB_STOP,
  stubStage1,
} from '@rkt/testkit/stub-stage1';

import { stubFlag, tinyImage, writeImage } from '../lib/images.ts';
import type { Result } from '../lib/process.ts';
import { expectStatus, FAILURE, INSECURE, Rkt } from '../lib/rkt.ts';
import { suite } from '../lib/suite.ts';

suite('stage1', ['root'], (the) => {
  let image = '';
  before(() => {
    image = tinyImage(the.rkt, { exec: ['/bin/x'] });
  });

  const run = (...args: readonly string[]): Promise<Result> =>
    the.rkt.run([INSECURE, 'run', '--net=none', ...args]);
  const ranStub = (result: Result, message = STUB_MESSAGE): void => {
    expectStatus(result, 0);
    assert.ok(result.stdout.includes(`${message}\n`), result.output);
  };
  /** The record of the last run, as a map of lists. */
  const record = (): Record<string, string[]> => {
    const [uuid = ''] = the.rkt.podsIn('run');
    const lines = readFileSync(`${the.rkt.podDir(uuid)}/stub-run`, 'utf8')
      .trimEnd()
      .split('\n');
    const result: Record<string, string[]> = { uuid: [uuid] };
    for (const line of lines) {
      const key = line.slice(0, line.indexOf('='));
      (result[key] ??= []).push(line.slice(key.length + 1));
    }
    return result;
  };
  const recording = (version?: string, annotations: Record<string, string> = {}): string =>
    stubFlag(the.rkt, {
      run: STUB_RUN_RECORDING,
      annotations: {
        ...(version === undefined ? {} : { 'coreos.com/rkt/stage1/interface-version': version }),
        ...annotations,
      },
    });

  describe('is chosen', () => {
    it('by every flag that can name a file', async () => {
      const path = writeImage(the.rkt, stubStage1(), 'stub');
      ranStub(await run(`--stage1-path=${path}`, image));
      ranStub(
        await the.rkt.run([INSECURE, 'run', '--net=none', '--stage1-path=./stub.aci', image], {
          cwd: the.rkt.tmp.path,
        }),
      );
      ranStub(await run(`--stage1-url=file://${path}`, image));
      ranStub(await run(`--stage1-image=${path}`, image));
      ranStub(await run(`--stage1-image=file://${path}`, image));
      ranStub(await run(`--stage1-image=${path}`, image));
    });
    it('by hash and by name from the store', async () => {
      const key = await the.rkt.fetch(writeImage(the.rkt, stubStage1()));
      ranStub(await run(`--stage1-hash=${key}`, image));
      ranStub(await run(`--stage1-hash=${key.slice(0, 20)}`, image));
      ranStub(await run(`--stage1-name=${STUB_NAME}:0.0.1`, image));
      ranStub(await run(`--stage1-image=${key}`, image));
      ranStub(await run(`--stage1-image=${STUB_NAME}`, image));
    });
    it('by URL', async () => {
      await using server = await startImageServer();
      const url = server.serve('/stub.aci', { body: buildAci(stubStage1()).bytes });
      ranStub(await run(`--stage1-url=${url}`, image));
      ranStub(await run(`--stage1-image=${url}`, image));
    });
    it('from the images directory of the configuration', async () => {
      const own = new Rkt('stage1');
      mkdirSync(own.tmp.join('images'));
      const path = writeImage(own, stubStage1(), 'images/my-stage1');
      own.configure('localConfig', 'paths.d/p.json', {
        rktKind: 'paths',
        rktVersion: 'v1',
        'stage1-images': own.tmp.join('images'),
      });
      ranStub(
        await own.run([
          INSECURE,
          'run',
          '--net=none',
          `--stage1-from-dir=${path.slice(path.lastIndexOf('/') + 1)}`,
          image,
        ]),
      );
      own.configure('localConfig', 'stage1.d/s.json', {
        rktKind: 'stage1',
        rktVersion: 'v1',
        location: path,
      });
      ranStub(await own.run([INSECURE, 'run', '--net=none', image]));
      await own.sweep();
      own.tmp.remove();
    });
    it('by name and version of the configuration, from the store first', async () => {
      const own = new Rkt('stage1');
      const path = writeImage(own, stubStage1({ run: 'echo configured' }));
      own.configure('localConfig', 'stage1.d/s.json', {
        rktKind: 'stage1',
        rktVersion: 'v1',
        name: STUB_NAME,
        version: '0.0.1',
        location: path,
      });
      const first = await own.run([INSECURE, '--debug', 'run', '--net=none', image]);
      ranStub(first, 'configured');
      assert.ok(first.stderr.includes(`using image from file ${path}`), first.stderr);
      const second = await own.run([INSECURE, '--debug', 'run', '--net=none', image]);
      ranStub(second, 'configured');
      assert.ok(
        second.stderr.includes(`using image from local store for image name ${STUB_NAME}:0.0.1`),
        second.stderr,
      );
      await own.sweep();
      own.tmp.remove();
    });
    it('by RKT_STAGE1_IMAGE when no flag does', async () => {
      const path = writeImage(the.rkt, stubStage1({ run: 'echo from the environment' }));
      const env = { RKT_STAGE1_IMAGE: path };
      ranStub(await the.rkt.run([INSECURE, 'run', '--net=none', image], { env }), 'from the environment');
      const flag = stubFlag(the.rkt);
      ranStub(await the.rkt.run([INSECURE, 'run', '--net=none', flag, image], { env }));
    });
    it('or refused by the name it was given', async () => {
      await the.rkt.fails(
        [INSECURE, 'run', '--net=none', '--stage1-path=/nonexistent.aci', image],
        /nonexistent\.aci/,
      );
      await the.rkt.fails(
        [INSECURE, 'run', '--net=none', '--stage1-image=/nonexistent.aci', image],
        /nonexistent\.aci/,
      );
      await the.rkt.fails(
        [INSECURE, '--debug', 'run', '--net=none', '--stage1-image=/nonexistent.aci', image],
        'error finding stage1 image "/nonexistent.aci"',
      );
      await the.rkt.fails(
        [INSECURE, 'run', '--net=none', `--stage1-hash=sha512-${'0'.repeat(64)}`, image],
        'no image IDs found',
      );
      assert.deepEqual(the.rkt.podsIn('run'), []);
    });
    it('with its signature, unless told otherwise', async () => {
      const path = writeImage(the.rkt, stubStage1({ name: 'example.com/unsigned' }));
      await the.rkt.fails(
        ['--debug', 'run', '--net=none', `--stage1-path=${path}`, image],
        'error opening signature file',
      );
    });
  });

  describe('entry points', () => {
    for (const name of [
      'coreos.com/rkt/stage1/run',
      'coreos.com/rkt/stage1/init',
      'coreos.com/rocket/stage1/run',
      'coreos.com/rocket/stage1/init',
    ]) {
      it(`are found as ${name}`, async () => {
        const flag = stubFlag(the.rkt, {
          without: ['run'],
          annotations: { [name]: '/alternative' },
          files: [{ path: 'alternative', mode: 0o755, content: '#!/bin/sh\necho alternative\n' }],
        });
        ranStub(await run(flag, image), 'alternative');
      });
    }
    it('are named when they are missing', async () => {
      const result = await run(stubFlag(the.rkt, { without: ['run'] }), image);
      expectStatus(result, FAILURE);
      assert.match(result.stderr, /entrypoint "coreos\.com\/rkt\/stage1\/run" not found/);
    });
    it('may not lead out of the image', async () => {
      const result = await run(
        stubFlag(the.rkt, {
          without: ['run'],
          annotations: { 'coreos.com/rkt/stage1/run': '/../../../../../../bin/echo' },
        }),
        image,
      );
      assert.notEqual(result.status, 0);
      assert.ok(!result.stdout.includes('--net'), result.output);
    });
    it('that cannot be executed leave an exited pod', async () => {
      const flag = stubFlag(the.rkt, {
        without: ['run'],
        annotations: { 'coreos.com/rkt/stage1/run': '/plain' },
        files: [{ path: 'plain', content: 'x' }],
      });
      const result = await run(flag, image);
      expectStatus(result, FAILURE);
      const [uuid = ''] = the.rkt.podsIn('run');
      const status = await the.rkt.status(uuid);
      assert.deepEqual([status['state'], status['started'], status['pid']], ['exited', undefined, undefined]);
    });
  });

  describe('is given', () => {
    it("its directory, its lock, its arguments and the caller's environment", async () => {
      const result = await the.rkt.run([INSECURE, 'run', '--net=none', recording(), image], {
        env: { CALLER: 'me' },
      });
      ranStub(result);
      const seen = record();
      const [uuid = ''] = seen['uuid'] ?? [];
      const pod = `${the.rkt.data}/pods/run/${uuid}`;
      assert.deepEqual(seen['cwd'], [pod]);
      assert.deepEqual(seen['lock'], [pod]);
      assert.deepEqual(seen['argv0'], [`${pod}/stage1/rootfs/run`]);
      assert.deepEqual(seen['arg'], ['--net=none', `--local-config=${the.rkt.localConfig}`, uuid]);
      const environment = seen['env'] ?? [];
      assert.ok(environment.includes('CALLER=me'));
      for (const name of ['RKT_LOCK_FD', 'RKT_SELINUX_CONTEXT', 'RKT_SELINUX_MOUNT_CONTEXT']) {
        assert.ok(
          environment.some((each) => each.startsWith(`${name}=`)),
          name,
        );
      }
      assert.equal(
        environment.filter((each) => each.startsWith('NODE_') || each.startsWith('RKT_SEA')).length,
        0,
      );
    });
    it('the process id of the command', async () => {
      const running = the.rkt.start([INSECURE, 'run', '--net=none', recording(), image]);
      ranStub(await running.ended);
      assert.deepEqual(record()['pid'], [String(running.pid)]);
    });
    it('every option its interface version knows, in order', async () => {
      const flags = [
        '--debug',
        '--hostname=h',
        '--dns=8.8.8.8',
        '--ipc=private',
        '--insecure-options=image,paths,seccomp,capabilities',
      ];
      const args = async (version: string): Promise<{ arg: string[]; stderr: string }> => {
        const result = await the.rkt.ok(['run', '--net=none', ...flags, recording(version), image]);
        const arg = (record()['arg'] ?? []).filter((each) => !each.startsWith('--local-config='));
        await the.rkt.sweep();
        return { arg: arg.slice(0, -1), stderr: result.stderr };
      };
      const newest = await args('6');
      assert.deepEqual(newest.arg, [
        '--debug',
        '--net=none',
        '--hostname=h',
        '--dns-conf-mode=resolv=stage0,hosts=default',
        '--disable-capabilities-restriction',
        '--disable-paths',
        '--disable-seccomp',
        '--ipc=private',
      ]);
      const middle = await args('3');
      assert.deepEqual(middle.arg, [
        '--debug',
        '--net=none',
        '--hostname=h',
        '--disable-capabilities-restriction',
        '--disable-paths',
        '--disable-seccomp',
      ]);
      assert.match(middle.stderr, /--dns-conf-mode option not supported by stage1/);
      assert.match(middle.stderr, /--ipc option is not supported by stage1/);
      const oldest = await args('1');
      assert.deepEqual(oldest.arg, ['--debug', '--net=none']);
      assert.match(oldest.stderr, /--hostname option is not supported by stage1/);
    });
    it('networks in the order given, default without any', async () => {
      await the.rkt.ok([INSECURE, 'run', '--net=a,b:IP=1.2.3.4;X=y', '--net=c', recording(), image]);
      assert.equal(record()['arg']?.[0], '--net=a,b:IP=1.2.3.4;X=y,c');
      await the.rkt.sweep();
      await the.rkt.ok([INSECURE, 'run', recording(), image]);
      assert.equal(record()['arg']?.[0], '--net=default');
      await the.rkt.sweep();
      await the.rkt.ok([INSECURE, 'run', '--net', recording(), image]);
      assert.equal(record()['arg']?.[0], '--net=default');
    });
    it('name service files', async () => {
      const flags = [
        '--dns=8.8.8.8',
        '--dns=4.2.2.2',
        '--dns-domain=example.org',
        '--dns-opt=debug',
        '--dns-opt=rotate',
        '--dns-search=example.com',
        '--dns-search=example.gov',
      ];
      const hosts = [
        '--hosts-entry',
        '198.51.100.0=host1,198.51.100.1=host2',
        '--hosts-entry',
        '198.51.100.0=host3',
      ];
      const show = 'cat stage1/rootfs/etc/rkt-resolv.conf stage1/rootfs/etc/rkt-hosts';
      const flag = stubFlag(the.rkt, {
        run: show,
        annotations: { 'coreos.com/rkt/stage1/interface-version': '6' },
      });
      const { stdout } = await the.rkt.ok([INSECURE, 'run', '--net=none', ...flags, ...hosts, flag, image]);
      assert.ok(
        stdout.startsWith(
          '# Generated by rkt run\n\nsearch example.com example.gov\nnameserver 8.8.8.8\nnameserver 4.2.2.2\noptions debug rotate\ndomain example.org\n',
        ),
        stdout,
      );
      assert.match(stdout, /^198\.51\.100\.0 host1 host3$/m);
      assert.match(stdout, /^198\.51\.100\.1 host2$/m);
    });
    for (const [flags, message] of [
      [['--dns=host', '--dns=8.8.8.8'], 'no other --dns options allowed when --dns=host is passed'],
      [['--dns=none', '--dns-opt=x'], 'Cannot call --dns-opt, --dns-search, or --dns-domain with --dns=none'],
      [['--dns=8.8.8'], 'Invalid IP passed to --dns: 8.8.8'],
      [
        ['--hosts-entry=host', '--hosts-entry=1.2.3.4=x'],
        'cannot pass --hosts-entry=host with multiple hosts-entries',
      ],
      [['--hosts-entry=nonsense'], 'Did not understand --hosts-entry nonsense'],
      [['--hosts-entry=1.2=x'], 'Invalid IP passed to --hosts-entry: 1.2'],
    ] as const) {
      it(`no ${flags.join(' ')}`, () =>
        the.rkt
          .fails([INSECURE, 'run', '--net=none', stubFlag(the.rkt), ...flags, image], message)
          .then(() => undefined));
    }
    it('mtab, status directory and the image manifests', async () => {
      const show =
        'cd stage1/rootfs; readlink opt/stage2/tiny/rootfs/etc/mtab; test -d rkt/status && echo status; cat opt/stage2/tiny/manifest';
      const { stdout } = await the.rkt.ok([
        INSECURE,
        'run',
        '--net=none',
        stubFlag(the.rkt, { run: show }),
        image,
      ]);
      assert.match(stdout, /^\.\.\/proc\/self\/mounts\nstatus\n\{"acKind"/);
    });
  });

  describe('interface versions', () => {
    for (const version of ['x', '', '0', '99', '-1']) {
      it(`"${version}" are refused`, async () => {
        const result = await run(recording(version), image);
        expectStatus(result, FAILURE);
        assert.match(result.stderr, /interface version/);
      });
    }
  });

  describe('enter', () => {
    it('is taken from the tree store and given the pod', async () => {
      const flag = stubFlag(the.rkt, {
        run: STUB_RUN_FOREVER,
        stop: STUB_STOP,
        enter: 'echo "$0"; pwd; for each in "$@"; do echo "arg=$each"; done; echo "$CALLER"; exit 9',
      });
      const running = the.rkt.start([INSECURE, 'run', '--net=none', flag, image]);
      await running.waitFor('stub: running');
      const [uuid = ''] = the.rkt.podsIn('run');
      const result = await the.rkt.run(['enter', uuid, '/bin/cmd', '--flag', 'a b'], {
        env: { CALLER: 'me' },
      });
      expectStatus(result, 9);
      const pid = readFileSync(`${the.rkt.podDir(uuid)}/pid`, 'utf8').trim();
      const [program = '', ...rest] = result.stdout.trimEnd().split('\n');
      assert.match(program, new RegExp(`^${the.rkt.data}/cas/tree/deps-sha512-[0-9a-f]{64}/rootfs/enter$`));
      assert.deepEqual(rest, [
        the.rkt.podDir(uuid),
        `arg=--pid=${pid}`,
        'arg=--appname=tiny',
        'arg=--',
        'arg=/bin/cmd',
        'arg=--flag',
        'arg=a b',
        'me',
      ]);
      const bash = await the.rkt.run(['enter', uuid]);
      assert.match(bash.stderr, /no command specified, assuming "\/bin\/bash"/);
      await the.rkt.fails(['enter', '--app=other', uuid, 'x'], /other/);
    });
    it('wants to know which app', async () => {
      const flag = stubFlag(the.rkt, { run: STUB_RUN_FOREVER, stop: STUB_STOP });
      const running = the.rkt.start([INSECURE, 'run', '--net=none', flag, image, image, '--name=second']);
      await running.waitFor('stub: running');
      const [uuid = ''] = the.rkt.podsIn('run');
      const result = await the.rkt.fails(['enter', uuid, 'x'], 'specify app using "rkt enter --app= ..."');
      assert.match(result.output, /pod contains multiple apps:/);
      await the.rkt.ok(['enter', '--app=second', uuid, 'x']);
    });
    it('needs a running pod', async () => {
      const uuid = await the.rkt.prepare([stubFlag(the.rkt), image]);
      await the.rkt.fails(['enter', uuid, 'x'], `pod "${uuid}" isn't currently running`);
    });
    it('waits for the process id and ends with the pod', async () => {
      const flag = stubFlag(the.rkt, { run: 'echo "stub: started"; sleep 2' });
      const running = the.rkt.start([INSECURE, 'run', '--net=none', flag, image]);
      await running.waitFor('stub: started');
      const [uuid = ''] = the.rkt.podsIn('run');
      const entering = the.rkt.start(['enter', uuid, 'x']);
      await running.ended;
      const ended = Date.now();
      const result = await entering.ended;
      expectStatus(result, FAILURE);
      assert.ok(Date.now() - ended < 10_000);
      assert.ok(result.output.includes(`pod ${uuid} is not running anymore`), result.output);
    });
  });

  it('may be any static program or script of the host, from an overlay or a copy', async () => {
    ranStub(await run('--no-overlay', stubFlag(the.rkt), image));
    ranStub(await run(stubFlag(the.rkt), image));
  });
  it('that fails is the status of run', async () => {
    expectStatus(await run(stubFlag(the.rkt, { run: 'exit 42' }), image), 42);
    assert.equal((await run(stubFlag(the.rkt, { run: 'kill -KILL $$' }), image)).status, 137);
  });
});
