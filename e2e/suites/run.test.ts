// `rkt run`: output, exit statuses, arguments, what the app's process sees (contract stage0 8.3-8.5, stage1 2, 3).

import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';

import { forEachFlavour, lines } from '../lib/flavours.ts';
import { inspectImage, shellImage, tinyImage, writeImage } from '../lib/images.ts';
import { inspectFiles, inspectManifest } from '@rkt/testkit/inspect';
import { sleep } from '../lib/process.ts';
import { requires } from '../lib/requires.ts';
import { expectStatus, FAILURE, INSECURE, UUID_PATTERN } from '../lib/rkt.ts';
import { suite } from '../lib/suite.ts';

suite('run', ['root', 'busybox'], (the) => {
  let image = '';
  before(() => {
    image = inspectImage(the.rkt);
  });

  forEachFlavour([], (flavour) => {
    const command = (...args: readonly string[]): string[] => [
      INSECURE,
      'run',
      ...flavour.stage1,
      ...flavour.net,
      ...args,
    ];
    const inspect = async (options: readonly string[], flags: readonly string[] = []): Promise<string[]> => {
      const result = await the.rkt.ok(command(image, ...flags, '--', ...options));
      return flavour.linesOf(result);
    };

    describe('output and status', () => {
      it("are the app's", async () => {
        const result = await the.rkt.run(command(image, '--', '--print-msg=hello world', '--exit-code=7'));
        expectStatus(result, 7);
        assert.deepEqual(flavour.linesOf(result), ['hello world']);
      });
      it('are 0 and nothing for a quiet app', async () => {
        const result = await the.rkt.ok(command(image));
        assert.deepEqual(flavour.linesOf(result), []);
      });
      for (const code of [0, 1, 2, 77, 126, 203, 254, 255]) {
        it(`are ${code}`, async () => {
          expectStatus(await the.rkt.run(command(image, '--', `--exit-code=${code}`)), code);
        });
      }
      it('carry both streams', async () => {
        const result = await the.rkt.ok(command(image, '--', '--print-msg=out', '--print-err=err'));
        assert.deepEqual(flavour.linesOf(result).sort(), ['err', 'out']);
      });
      it('lose no line', async function () {
        this.timeout(300_000);
        for (let round = 0; round < 20; round += 1) {
          const result = await the.rkt.ok(command(image, '--', '--print-lines=200', '--print-msg=the end'));
          assert.deepEqual(flavour.linesOf(result), [
            ...Array.from({ length: 200 }, (_, index) => String(index + 1)),
            'the end',
          ]);
        }
      });
      it('keep long lines, odd characters and a last line without its end', async () => {
        const long = 'x'.repeat(1500);
        const result = await the.rkt.ok(
          command(image, '--', `--print-msg=${long}`, '--print-msg=é ☃ \t|', '--print-no-newline=tail'),
        );
        assert.deepEqual(flavour.linesOf(result), [long, 'é ☃ \t|', 'tail']);
      });
      it('of a killed app tell so', async () => {
        const result = await the.rkt.run(command(image, '--', '--kill-self=KILL'));
        assert.equal(result.status, flavour.can.isolated ? 9 : 137);
      });
    });

    describe('arguments', () => {
      it("follow the image's exec, or --exec", async () => {
        assert.deepEqual(await inspect(['--print-exec']), ['inspect exceed as: /inspect']);
        const result = await the.rkt.ok(
          command(image, '--exec=/bin/echo', '--', 'a b', '--flag', '', "it's", '"q"', '$HOME', '%n', 'é'),
        );
        assert.deepEqual(flavour.linesOf(result), [`a b --flag  it's "q" $HOME %n é`]);
      });
      it('may find the program by PATH or below the working directory', async () => {
        const byPath = await the.rkt.ok(command(image, '--exec=inspect-link-bin', '--', '--print-exec'));
        assert.match(flavour.linesOf(byPath)[0] ?? '', /inspect-link-bin$/);
        const relative = await the.rkt.ok(
          command(image, '--exec=./inspect-link-bin', '--working-dir=/bin', '--', '--print-cwd'),
        );
        assert.deepEqual(flavour.linesOf(relative), ['cwd: /bin']);
      });
      it('end at ---, so that flags may follow', async () => {
        const result = await the.rkt.ok(command(image, '--', '--print-env=A', '---', '--set-env=A=b'));
        assert.deepEqual(flavour.linesOf(result), ['A=b']);
      });
      it('of pods without images are refused', async () => {
        await the.rkt.fails(command(), 'must provide at least one image or specify the pod manifest');
      });
      for (const [program, pattern] of [
        ['/nonexistent', /unable to find|No such file|not found/i],
        ['nonexistent', /unable to find "nonexistent" in/],
        ['/etc/passwd', /not executable|unable to find|ermission denied/],
        ['/dir1', /not executable|unable to find|directory/],
      ] as const) {
        it(`with the program ${program} are refused`, async () => {
          const result = await the.rkt.run(command(image, `--exec=${program}`));
          assert.ok(result.status !== 0, result.output);
          assert.match(result.output, pattern);
        });
      }
      it('need a program', async () => {
        await the.rkt.fails(
          command(
            writeImage(the.rkt, {
              manifest: inspectManifest([], { app: { exec: [] } }),
              files: inspectFiles(),
            }),
          ),
          /has an empty "exec" \(try --exec=BINARY\)/,
        );
      });
    });

    describe('environment', () => {
      it("comes from the image, and flags win in the contract's order", async () => {
        writeFileSync(the.rkt.tmp.join('env'), '# c\n; c\n\nFROM=file\nFILE_ONLY=x = y\n');
        const flags = [`--set-env-file=${the.rkt.tmp.join('env')}`];
        assert.deepEqual(await inspect(['--print-env=VAR_FROM_MANIFEST']), ['VAR_FROM_MANIFEST=manifest']);
        const result = await the.rkt.ok(
          [
            INSECURE,
            'run',
            ...flavour.stage1,
            ...flavour.net,
            ...flags,
            '--set-env=FROM=flag',
            '--set-env=VAR_FROM_MANIFEST=flag',
            '--inherit-env',
            image,
            '--environment=FROM=app',
            '--environment=APP=app',
            '--',
            '--print-env=FROM',
            '--print-env=FILE_ONLY',
            '--print-env=VAR_FROM_MANIFEST',
            '--print-env=APP',
            '--print-env=CALLER',
            '--print-env=PATH',
          ],
          { env: { CALLER: 'me', FROM: 'caller', PATH: process.env['PATH'] } },
        );
        assert.deepEqual(flavour.linesOf(result), [
          'FROM=flag',
          'FILE_ONLY=x = y',
          'VAR_FROM_MANIFEST=flag',
          'APP=app',
          'CALLER=me',
          'PATH=/bin',
        ]);
      });
      it('does not reach the app from the caller', async () => {
        const result = await the.rkt.ok(command(image, '--', '--print-env=CALLER'), {
          env: { CALLER: 'me' },
        });
        assert.deepEqual(flavour.linesOf(result), ['CALLER=']);
      });
      it('has defaults', async () => {
        const result = await the.rkt.ok(
          command(
            writeImage(the.rkt, {
              manifest: inspectManifest([], { app: { environment: [] } }),
              files: inspectFiles(),
            }),
            '--',
            '--check-path',
            '--print-env=HOME',
            '--print-env=SHELL',
            '--print-env=USER',
            '--print-env=LOGNAME',
          ),
        );
        assert.deepEqual(flavour.linesOf(result), [
          'PATH is good',
          'HOME=/root',
          'SHELL=/bin/sh',
          'USER=root',
          'LOGNAME=root',
        ]);
      });
      it('keeps values to the letter', async () => {
        const values = [
          'with space ',
          ' lead',
          '"quoted"',
          "'single'",
          'back\\slash',
          '$HOME',
          '#hash',
          'a=b',
          '%n',
          'é',
          'tab\there',
          '',
          '\\n',
          'end\\',
        ];
        const flags = values.map((value, index) => `--set-env=V${index}=${value}`);
        const result = await the.rkt.ok([
          INSECURE,
          'run',
          ...flavour.stage1,
          ...flavour.net,
          ...flags,
          image,
          '--',
          ...values.map((_, index) => `--print-env=V${index}`),
        ]);
        assert.deepEqual(
          flavour.linesOf(result),
          values.map((value, index) => `V${index}=${value}`),
        );
      });
      it('names the app', async function () {
        if (!flavour.can.appName) this.skip();
        assert.deepEqual(await inspect(['--print-env=AC_APP_NAME'], ['--name=my-app']), [
          'AC_APP_NAME=my-app',
        ]);
      });
      it("holds nothing of rkt's own", async () => {
        const variables = (await inspect(['--print-environ'])).map((line) => line.replace(/=.*/, ''));
        const ours = variables.filter((name) => /^(RKT|LISTEN|NODE|LD|SYSTEMD|NOTIFY)/.test(name));
        assert.deepEqual(ours, []);
      });
      for (const [flag, message] of [
        ['--set-env=novalue', 'must be specified as key=value'],
        ['--set-env-file=/nonexistent', /nonexistent/],
      ] as const) {
        it(`refuses ${flag}`, () => the.rkt.fails(command(flag, image), message).then(() => undefined));
      }
      it('refuses one name twice', async () => {
        await the.rkt.fails(command('--set-env=A=1', '--set-env=A=2', image), 'key "A" already set');
        writeFileSync(the.rkt.tmp.join('bad-env'), 'A=1\nB\n');
        await the.rkt.fails(command(`--set-env-file=${the.rkt.tmp.join('bad-env')}`, image), /bad-env/);
      });
    });

    describe('the process', () => {
      it('runs as the user, the group and the groups it should', async () => {
        assert.deepEqual(await inspect(['--print-user', '--print-groups']), [
          'User: uid=0 euid=0 gid=0 egid=0',
          'Groups: 0 ',
        ]);
        assert.deepEqual(await inspect(['--print-user'], ['--user=1000', '--group=100']), [
          'User: uid=1000 euid=1000 gid=100 egid=100',
        ]);
        assert.deepEqual(await inspect(['--print-user'], ['--user=user1', '--group=group1']), [
          'User: uid=1000 euid=1000 gid=100 egid=100',
        ]);
        assert.deepEqual(await inspect(['--print-user'], ['--user=/dir1', '--group=/dir1/file']), [
          'User: uid=0 euid=0 gid=0 egid=0',
        ]);
        assert.deepEqual(await inspect(['--print-groups'], ['--supplementary-gids=1200,400,500']), [
          'Groups: 0 400 500 1200 ',
        ]);
      });
      for (const [flag, pattern] of [
        ['--user=nobody-here', /"nobody-here" user not found/],
        ['--group=nogroup-here', /"nogroup-here" group not found/],
        ['--user=/nonexistent', /no such file or directory/],
      ] as const) {
        it(`is not started with ${flag}`, () =>
          the.rkt.fails(command(image, flag), pattern).then(() => undefined));
      }
      it('starts in the working directory', async () => {
        assert.deepEqual(await inspect(['--print-cwd']), ['cwd: /']);
        assert.deepEqual(await inspect(['--print-cwd'], ['--working-dir=/dir1']), ['cwd: /dir1']);
      });
      it('has no descriptors but the standard ones', async () => {
        const [found = ''] = await inspect(['--print-fds']);
        const extra = found
          .replace('Descriptors:', '')
          .trim()
          .split(' ')
          .filter((fd) => Number(fd) > 2);
        // fly's app holds the lock of its pod (contract stage1 3, step 8).
        assert.ok(extra.length <= (flavour.can.isolated ? 0 : 1), found);
      });
      it('ignores and blocks no signals', async () => {
        const [found = ''] = await inspect(['--print-signals']);
        assert.equal(found, 'Signals: blocked=0000000000000000 ignored=0000000000000000');
      });
      it('has the umask 022 and one thread', async () => {
        assert.deepEqual(await inspect(['--print-umask', '--print-threads']), ['Umask: 0022', 'Threads: 1']);
      });
      it('sees the standard devices', async () => {
        for (const device of ['null', 'zero', 'full', 'random', 'urandom', 'tty', 'ptmx']) {
          const found = await inspect(['--stat-file', `--file-name=/dev/${device}`]);
          assert.match(found[0] ?? '', /mode: Dc/, device);
        }
        assert.match((await inspect(['--stat-file', '--file-name=/tmp']))[0] ?? '', /dtrwxrwxrwx/);
        assert.match((await inspect(['--list-dir=/proc/self/fd']))[0] ?? '', /0/);
      });
      it('finds etc/mtab', async () => {
        assert.deepEqual(await inspect(['--file-symlink-target', '--file-name=/etc/mtab']), [
          'symlink: "/etc/mtab" -> "../proc/self/mounts"',
        ]);
      });
      it('writes into a root of its own', async () => {
        assert.deepEqual(
          await inspect(['--write-file', '--read-file', '--file-name=/dir1/new', '--content=mine']),
          ['<<<mine>>>'],
        );
        const result = await the.rkt.run(command(image, '--', '--read-file', '--file-name=/dir1/new'));
        assert.equal(result.status, 254);
        assert.match(result.output, /no such file or directory/);
      });
    });

    describe('flags', () => {
      it('--uuid-file-save names the pod before it runs', async () => {
        const path = the.rkt.tmp.join('uuid');
        await the.rkt.ok(command(`--uuid-file-save=${path}`, image));
        const uuid = readFileSync(path, 'utf8');
        assert.equal(uuid.length, 36);
        assert.match(uuid, UUID_PATTERN);
        assert.deepEqual(the.rkt.podsIn('run'), [uuid]);
      });
      it('--no-overlay works the same', async () => {
        const result = await the.rkt.ok(command('--no-overlay', image, '--', '--print-msg=plain'));
        assert.deepEqual(flavour.linesOf(result), ['plain']);
        assert.equal(existsSync(`${the.rkt.podDir(the.rkt.podsIn('run')[0] ?? '')}/overlay`), false);
      });
      it('--name names the app', async () => {
        await the.rkt.ok(command(image, '--name=other'));
        const [uuid = ''] = the.rkt.podsIn('run');
        assert.ok(existsSync(`${the.rkt.podDir(uuid)}/appsinfo/other/manifest`));
        await the.rkt.fails(command(image, '--name=Bad_Name'), 'invalid argument');
      });
      it('images are taken by path, hash and name', async () => {
        const key = await the.rkt.fetch(image);
        for (const argument of [
          image,
          key,
          key.slice(0, 39),
          'coreos.com/rkt-inspect',
          'coreos.com/rkt-inspect:1.30.0',
        ]) {
          const result = await the.rkt.ok(command(argument, '--', '--print-msg=hi'));
          assert.deepEqual(flavour.linesOf(result), ['hi'], argument);
        }
        await the.rkt.fails(command('sha512-0000000000000000'), 'no image IDs found');
        await the.rkt.fails(
          command('--pull-policy=never', 'example.com/none'),
          /unable to fetch.* image from .* "example\.com\/none"/,
        );
      });
      it('before any image that belong to one are refused', async () => {
        await the.rkt.fails(command('--exec=/x', image), '--exec must follow an image');
      });
      it('--interactive connects the terminal', async function () {
        requires(this, 'program:script');
        const running = the.rkt.startOnTerminal(
          command('--interactive', image, '--', '--check-tty', '--read-stdin', '--exit-code=3'),
        );
        await running.waitFor('Enter text:');
        running.write('typed\n');
        const result = await running.ended;
        assert.match(result.output, /stdin is a terminal/);
        assert.match(result.output, /Received text: typed/);
        assert.equal(result.status, 3);
      });
      it('--interactive takes one app only', async () => {
        await the.rkt.fails(
          command('--interactive', image, image, '--name=b'),
          'interactive option only supports one image',
        );
      });
    });

    it('passes SIGTERM on as an orderly end', async () => {
      const running = the.rkt.start(
        command(image, '--', '--silent-sigterm', '--print-msg=up', '--sleep=100'),
      );
      await running.waitFor(/\bup\r?$/m);
      const started = Date.now();
      running.kill('SIGTERM');
      expectStatus(await running.ended, 0);
      assert.ok(Date.now() - started < 10_000);
    });

    it('keeps no process of its own beside the pod', async () => {
      const running = the.rkt.start(command(image, '--', '--print-msg=up', '--sleep=100'));
      await running.waitFor(/\bup\r?$/m);
      const children = (pid: number): number[] =>
        readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
          .split(' ')
          .filter((each) => each !== '')
          .map(Number);
      const all = (pid: number): number[] => [pid, ...children(pid).flatMap(all)];
      await sleep(300);
      const names = all(running.pid).map((pid) => readFileSync(`/proc/${pid}/comm`, 'utf8').trim());
      const known = [
        'systemd-nspawn',
        'systemd',
        'systemd-journal',
        '(sd-pam)',
        'inspect',
        'busybox',
        'sleep',
        'sh',
      ];
      assert.deepEqual(
        names.filter((name) => !known.includes(name) && !name.startsWith('ld-linux')),
        [],
        names.join(),
      );
      running.kill('SIGKILL');
    });
  });

  forEachFlavour(['severalApps'], (flavour) => {
    const command = (...args: readonly string[]): string[] => [
      INSECURE,
      'run',
      ...flavour.stage1,
      ...flavour.net,
      ...args,
    ];

    it('runs several apps, the first failure decides', async () => {
      const apps = [
        ['a', 'sleep 1; exit 0'],
        ['b', 'sleep 1; exit 5'],
        ['c', 'sleep 2; exit 6'],
      ].flatMap(([name = '', script = '']) => [shellImage(the.rkt, script), `--name=${name}`]);
      expectStatus(await the.rkt.run(command(...apps)), 5);
      const [uuid = ''] = the.rkt.podsIn('run');
      const status = await the.rkt.status(uuid);
      assert.deepEqual([status['app-a'], status['app-b'], status['app-c']], ['0', '5', '0']);
    });
    it('runs one image as two apps', async () => {
      const result = await the.rkt.ok(
        command(
          image,
          '--name=one',
          '--',
          '--print-env=AC_APP_NAME',
          '---',
          image,
          '--name=two',
          '--',
          '--print-env=AC_APP_NAME',
        ),
      );
      assert.deepEqual(flavour.linesOf(result, 'one'), ['AC_APP_NAME=one']);
      assert.deepEqual(flavour.linesOf(result, 'two'), ['AC_APP_NAME=two']);
    });
    it('refuses two apps of one name', async () => {
      await the.rkt.fails(command(image, image), 'error: multiple apps with name rkt-inspect');
    });
    it('waits for the last app', async () => {
      const result = await the.rkt.ok(
        command(
          shellImage(the.rkt, 'echo fast'),
          '--name=a',
          shellImage(the.rkt, 'sleep 1; echo slow'),
          '--name=b',
        ),
      );
      assert.deepEqual(flavour.linesOf(result, 'b'), ['slow']);
    });
    it("prints lines in the contract's form", async () => {
      const result = await the.rkt.ok(command(image, '--', '--print-msg=hello'));
      const line = lines(result.output).find((each) => each.includes('hello')) ?? '';
      assert.match(line, /^(\[ *\d+\.\d+\] )?rkt-inspect\[\d+\]: hello$/);
    });
    it('gives a closed standard input', async () => {
      const result = await the.rkt.ok(command(image, '--', '--check-tty', '--count-stdin'), {
        input: 'ignored',
      });
      assert.deepEqual(flavour.linesOf(result), ['stdin is not a terminal', 'Received bytes: 0']);
    });
  });

  forEachFlavour(['callersInput'], (flavour) => {
    it("hands the caller's streams on", async () => {
      const command = [
        INSECURE,
        'run',
        ...flavour.stage1,
        ...flavour.net,
        image,
        '--',
        '--read-stdin',
        '--print-err=e',
      ];
      const result = await the.rkt.ok(command, { input: 'given\n' });
      assert.equal(result.stdout, 'Enter text:\nReceived text: given\n');
      assert.match(result.stderr, /^e$/m);
    });
    it('refuses a second app', () =>
      the.rkt
        .fails(
          [INSECURE, 'run', ...flavour.stage1, ...flavour.net, image, image, '--name=b'],
          'fly only supports 1 application per Pod for now',
        )
        .then(() => undefined));
  });

  it('wants os and arch labels it knows', async () => {
    const labelled = (labels: Record<string, string | undefined>): string =>
      tinyImage(the.rkt, { labels, exec: ['/x'] });
    await the.rkt.fails(
      [INSECURE, 'run', '--net=none', labelled({ os: undefined })],
      'missing os label in the image manifest',
    );
    await the.rkt.fails(
      [INSECURE, 'run', '--net=none', labelled({ arch: undefined })],
      'missing arch label in the image manifest',
    );
    await the.rkt.fails(
      [INSECURE, 'run', '--net=none', labelled({ os: 'freebsd', arch: 'amd64' })],
      'bad os "freebsd"',
    );
  });

  it('explains that the default network comes later', async () => {
    const result = await the.rkt.run([INSECURE, 'run', image]);
    assert.equal(result.status, FAILURE);
    assert.match(result.output, /none/);
    assert.match(result.output, /host/);
  });

  for (const [flags, message] of [
    [['--net=none', '--port=http:80'], "--port flag does not work with 'none' networking"],
    [['--net=host', '--port=http:80'], "--port flag does not work with 'host' networking"],
    [['--net=a,a'], 'found duplicate netname "a"'],
    [['--net='], 'netname must not be empty'],
    [['--net=host:IP=1'], 'arguments are not supported by special netname "host"'],
    [['--port=foo'], 'is not in name:[ip:]port format'],
    [['--port=f$o:1'], '"f$o" is not a valid port name'],
    [['--port=foo:x'], '"x" is not a valid port number'],
    [['--port=foo:99999'], '"99999" is not a valid port number'],
    [['--port=foo:1.2.3:80'], '"1.2.3" is not a valid IP'],
    [['--volume=#foobar,kind=host,source=/tmp'], 'invalid value in --volume flag'],
    [['--volume=x,kind=host,source=tmp'], 'source for host volume must be absolute path'],
    [['--volume=x,kind=host,mode=0755'], 'invalid value in --volume flag'],
    [['--volume=x,kind=empty,source=/tmp'], 'source for empty volume must be empty'],
    [['--volume=x,kind=tmp'], 'unrecognized volume kind: should be one of "empty", "host"'],
    [['--volume=x,kind=host,source=/a,recursive=MAYBE'], 'invalid value in --volume flag'],
    [['--volume=x,kind=host,source=/a,what=1'], 'unknown volume parameter "what"'],
    [['--mount=volume=x,target=/x'], 'dangling mount point "/x": volume "x" not found'],
    [['--mount=volume=x,nope=/x'], 'unknown mount parameter "nope"'],
    [['--stage1-path=/a.aci', '--stage1-name=b'], 'mutually exclusive'],
    [['--stage1-path=/a.aci', '--stage1-path=/b.aci'], '--stage1-path already used'],
    [['--pod-manifest=/dev/null', '--set-env=A=b'], 'conflicting flags set with --pod-manifest (see --help)'],
    [['--pod-manifest=/dev/null'], 'conflicting flags set with --pod-manifest (see --help)'],
    [
      ['--private-users'],
      'cannot use both overlay and user namespace: not implemented yet. (Try --no-overlay)',
    ],
  ] as const) {
    it(`refuses ${flags.join(' ')}`, () =>
      the.rkt.fails([INSECURE, 'run', ...flags, image], message).then(() => undefined));
  }
  for (const [flags, message] of [
    [['--memory=4095'], 'memory limit of 4095 bytes too low'],
    [['--memory=lots'], 'invalid argument'],
    [['--cpu-shares=1'], 'invalid argument'],
    [['--oom-score-adj=1001'], 'invalid argument'],
    [
      ['--caps-retain=CAP_KILL', '--caps-remove=CAP_CHOWN'],
      'cannot use both --caps-retain and --caps-remove on the same image',
    ],
    [['--seccomp=chmod'], 'invalid seccomp mode command-line override'],
    [['--seccomp=mode=retain,what=1'], 'invalid seccomp command-line override'],
    [['--annotation=x'], 'invalid format of --annotation flag "x"'],
    [['--readonly-rootfs=perhaps'], 'invalid argument'],
    [['--exec=/a', '--exec=/b'], 'invalid argument'],
    [['--', 'a', '---', '--', 'b'], 'only one set of app arguments allowed per image'],
  ] as const) {
    it(`refuses ${flags.join(' ')} behind an image`, () =>
      the.rkt.fails([INSECURE, 'run', '--net=none', image, ...flags], message).then(() => undefined));
  }
});
