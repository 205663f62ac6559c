// `rkt run`: output, exit statuses, arguments, flags (contract stage0 1.4, 8.3, stage1 2.7, 3).

import assert from 'node:assert/strict';
import { existsSync, readFileSync, realpathSync } from 'node:fs';

import { hasCode } from '@rkt/diagnostics/rkt-error';
import { inspectFiles, inspectManifest } from '@rkt/testkit/inspect';

import { forEachFlavour, lines } from '../lib/flavours.ts';
import { inspectImage, shellImage, writeImage } from '../lib/images.ts';
import { eventually } from '../lib/process.ts';
import { requires } from '../lib/requires.ts';
import { expectStatus, UUID_PATTERN } from '../lib/rkt.ts';
import { suite } from '../lib/suite.ts';

suite('run', ['root', 'busybox'], (the) => {
  let image = '';
  before(() => {
    image = inspectImage(the.rkt);
  });

  forEachFlavour([], (flavour) => {
    const inspect = async (options: readonly string[], flags: readonly string[] = []): Promise<string[]> => {
      const result = await the.rkt.ok(flavour.run(image, ...flags, '--', ...options));
      return flavour.linesOf(result);
    };

    describe('output and status', () => {
      it("are the app's", async () => {
        const result = await the.rkt.run(
          flavour.run(image, '--', '--print-msg=hello world', '--exit-code=7'),
        );
        expectStatus(result, 7);
        assert.deepEqual(flavour.linesOf(result), ['hello world']);
      });
      it('are 0 and nothing for a quiet app', async () => {
        const result = await the.rkt.ok(flavour.run(image));
        assert.deepEqual(flavour.linesOf(result), []);
      });
      for (const code of [0, 1, 2, 77, 126, 203, 254, 255]) {
        it(`are ${code}`, async () => {
          expectStatus(await the.rkt.run(flavour.run(image, '--', `--exit-code=${code}`)), code);
        });
      }
      it('carry both streams', async () => {
        const result = await the.rkt.ok(flavour.run(image, '--', '--print-msg=out', '--print-err=err'));
        assert.deepEqual(flavour.linesOf(result).sort(), ['err', 'out']);
      });
      it('lose no line', async function () {
        this.timeout(300_000);
        for (let round = 0; round < 20; round += 1) {
          const result = await the.rkt.ok(
            flavour.run(image, '--', '--print-lines=200', '--print-msg=the end'),
          );
          assert.deepEqual(flavour.linesOf(result), [
            ...Array.from({ length: 200 }, (_, index) => String(index + 1)),
            'the end',
          ]);
        }
      });
      it('keep long lines, odd characters and a last line without its end', async () => {
        const long = 'x'.repeat(1500);
        const result = await the.rkt.ok(
          flavour.run(image, '--', `--print-msg=${long}`, '--print-msg=é ☃ \t|', '--print-no-newline=tail'),
        );
        assert.deepEqual(flavour.linesOf(result), [long, 'é ☃ \t|', 'tail']);
      });
      it('of a killed app tell so', async () => {
        const result = await the.rkt.run(flavour.run(image, '--', '--kill-self=KILL'));
        assert.equal(result.status, flavour.can.isolated ? 9 : 137);
      });
    });

    describe('arguments', () => {
      it("follow the image's exec, or --exec", async () => {
        assert.deepEqual(await inspect(['--print-exec']), ['inspect exceed as: /inspect']);
        const result = await the.rkt.ok(
          flavour.run(
            image,
            '--exec=/bin/echo',
            '--',
            'a b',
            '--flag',
            '',
            "it's",
            '"q"',
            '$HOME',
            '%n',
            'é',
          ),
        );
        assert.deepEqual(flavour.linesOf(result), [`a b --flag it's "q" $HOME %n é`]);
      });
      it('may find the program by PATH or below the working directory', async () => {
        const byPath = await the.rkt.ok(flavour.run(image, '--exec=inspect-link-bin', '--', '--print-exec'));
        assert.match(flavour.linesOf(byPath)[0] ?? '', /inspect-link-bin$/);
        const relative = await the.rkt.ok(
          flavour.run(image, '--exec=./inspect-link-bin', '--working-dir=/bin', '--', '--print-cwd'),
        );
        assert.deepEqual(flavour.linesOf(relative), ['cwd: /bin']);
      });
      it('end at ---, so that flags may follow', async () => {
        const result = await the.rkt.ok(flavour.run(image, '--', '--print-env=A', '---', '--set-env=A=b'));
        assert.deepEqual(flavour.linesOf(result), ['A=b']);
      });
      it('of pods without images are refused', async () => {
        await the.rkt.fails(flavour.run(), 'must provide at least one image or specify the pod manifest');
      });
      for (const [program, pattern] of [
        ['/nonexistent', /unable to find|No such file|not found/i],
        ['nonexistent', /unable to find "nonexistent" in/],
        ['/etc/passwd', /not executable|unable to find|ermission denied/],
        ['/dir1', /not executable|unable to find|directory/],
      ] as const) {
        it(`with the program ${program} are refused`, async () => {
          const result = await the.rkt.run(flavour.run(image, `--exec=${program}`));
          assert.ok(result.status !== 0, result.output);
          assert.match(result.output, pattern);
        });
      }
      it('need a program', async () => {
        await the.rkt.fails(
          flavour.run(
            writeImage(the.rkt, {
              manifest: inspectManifest([], { app: { exec: [] } }),
              files: inspectFiles(),
            }),
          ),
          /has an empty "exec" \(try --exec=BINARY\)/,
        );
      });
    });

    describe('flags', () => {
      it('--uuid-file-save names the pod before it runs', async () => {
        const path = the.rkt.tmp.join('uuid');
        await the.rkt.ok(flavour.run(`--uuid-file-save=${path}`, image));
        const uuid = readFileSync(path, 'utf8');
        assert.equal(uuid.length, 36);
        assert.match(uuid, UUID_PATTERN);
        assert.deepEqual(the.rkt.podsIn('run'), [uuid]);
      });
      it('--no-overlay works the same', async () => {
        const result = await the.rkt.ok(flavour.run('--no-overlay', image, '--', '--print-msg=plain'));
        assert.deepEqual(flavour.linesOf(result), ['plain']);
        assert.equal(existsSync(`${the.rkt.podDir(the.rkt.podsIn('run')[0] ?? '')}/overlay`), false);
      });
      it('--no-overlay needs the tree of stage1 as long as the pod is there, and no image', async () => {
        const uuid = await the.rkt.prepare(['--no-overlay', ...flavour.stage1, image]);
        const program = `${the.rkt.podDir(uuid)}/stage1/rootfs/usr/lib/rkt/stage1`;
        const inTree = realpathSync(program);
        assert.match(inTree, /\/cas\/tree\/deps-sha512-[0-9a-f]{64}\/rootfs\/usr\/lib\/rkt\/stage1$/);
        const { stdout } = await the.rkt.ok(['image', 'list', '--no-legend', '--full', '--fields=id']);
        await the.rkt.ok(['image', 'rm', ...lines(stdout)]);
        await the.rkt.ok(['image', 'gc', '--grace-period=0s']);
        await the.rkt.ok(['run-prepared', ...flavour.net, uuid]);
        await the.rkt.ok(['image', 'gc', '--grace-period=0s']);
        await the.rkt.ok(['gc', '--grace-period=0s']);
        assert.deepEqual(the.rkt.podsIn('run'), []);
        assert.ok(existsSync(inTree));
        await the.rkt.ok(['image', 'gc', '--grace-period=0s']);
        assert.ok(!existsSync(inTree));
      });
      it('--name names the app', async () => {
        await the.rkt.ok(flavour.run(image, '--name=other'));
        const [uuid = ''] = the.rkt.podsIn('run');
        assert.ok(existsSync(`${the.rkt.podDir(uuid)}/appsinfo/other/manifest`));
        await the.rkt.fails(flavour.run(image, '--name=Bad_Name'), 'invalid argument');
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
          const result = await the.rkt.ok(flavour.run(argument, '--', '--print-msg=hi'));
          assert.deepEqual(flavour.linesOf(result), ['hi'], argument);
        }
        await the.rkt.fails(flavour.run('sha512-0000000000000000'), 'no image IDs found');
        await the.rkt.fails(
          flavour.run('--pull-policy=never', 'example.com/none'),
          /unable to fetch.* image from .* "example\.com\/none"/,
        );
      });
      it('before any image that belong to one are refused', async () => {
        await the.rkt.fails(flavour.run('--exec=/x', image), '--exec must follow an image');
      });
      it('--interactive connects the terminal', async function () {
        requires(this, 'program:script');
        const running = the.rkt.startOnTerminal(
          flavour.run('--interactive', image, '--', '--check-tty', '--read-stdin', '--exit-code=3'),
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
          flavour.run('--interactive', image, image, '--name=b'),
          'interactive option only supports one image',
        );
      });
    });

    it('passes SIGTERM on as an orderly end', async () => {
      const running = the.rkt.start(
        flavour.run(image, '--', '--silent-sigterm', '--print-msg=up', '--sleep=100'),
      );
      await running.waitFor(/\bup\r?$/m);
      const started = Date.now();
      running.kill('SIGTERM');
      expectStatus(await running.ended, 0);
      assert.ok(Date.now() - started < 10_000);
    });

    it('keeps no process of its own beside the pod', async () => {
      const running = the.rkt.start(flavour.run(image, '--', '--print-msg=up', '--sleep=100'));
      await running.waitFor(/\bup\r?$/m);
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
      // Programs of the start may still be ending.
      await eventually('all that is left is of the pod', () =>
        namesBelow(running.pid)?.every((name) => known.includes(name) || name.startsWith('ld-linux')),
      );
      running.kill('SIGKILL');
    });
  });

  forEachFlavour(['severalApps'], (flavour) => {
    it('runs several apps, the first failure decides', async () => {
      const apps = [
        ['a', 'sleep 1; exit 0'],
        ['b', 'sleep 1; exit 5'],
        ['c', 'sleep 2; exit 6'],
      ].flatMap(([name = '', script = '']) => [shellImage(the.rkt, script), `--name=${name}`]);
      expectStatus(await the.rkt.run(flavour.run(...apps)), 5);
      const [uuid = ''] = the.rkt.podsIn('run');
      const status = await the.rkt.status(uuid);
      assert.deepEqual([status['app-a'], status['app-b'], status['app-c']], ['0', '5', '0']);
    });
    it('runs one image as two apps', async () => {
      const result = await the.rkt.ok(
        flavour.run(
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
      await the.rkt.fails(flavour.run(image, image), 'error: multiple apps with name rkt-inspect');
    });
    it('waits for the last app', async () => {
      const result = await the.rkt.ok(
        flavour.run(
          shellImage(the.rkt, 'echo fast'),
          '--name=a',
          shellImage(the.rkt, 'sleep 1; echo slow'),
          '--name=b',
        ),
      );
      assert.deepEqual(flavour.linesOf(result, 'b'), ['slow']);
    });
    it("prints lines in the contract's form", async () => {
      const result = await the.rkt.ok(flavour.run(image, '--', '--print-msg=hello'));
      const line = lines(result.output).find((each) => each.includes('hello')) ?? '';
      assert.match(line, /^(\[ *\d+\.\d+\] )?rkt-inspect\[\d+\]: hello$/);
    });
    it('gives a closed standard input', async () => {
      const result = await the.rkt.ok(flavour.run(image, '--', '--check-tty', '--count-stdin'), {
        input: 'ignored',
      });
      assert.deepEqual(flavour.linesOf(result), ['stdin is not a terminal', 'Received bytes: 0']);
    });
  });

  forEachFlavour(['callersInput'], (flavour) => {
    it("hands the caller's streams on", async () => {
      const command = flavour.run(image, '--', '--read-stdin', '--print-err=e');
      const result = await the.rkt.ok(command, { input: 'given\n' });
      assert.equal(result.stdout, 'Enter text:\nReceived text: given\n');
      assert.match(result.stderr, /^e$/m);
    });
    it('refuses a second app', () =>
      the.rkt
        .fails(flavour.run(image, image, '--name=b'), 'fly only supports 1 application per Pod for now')
        .then(() => undefined));
  });
});

/** What a process and its descendants are called; undefined when one has ended meanwhile. */
function namesBelow(pid: number): string[] | undefined {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean);
    const below = children.map((child) => namesBelow(Number(child)));
    if (below.includes(undefined)) return undefined;
    return [readFileSync(`/proc/${pid}/comm`, 'utf8').trim(), ...below.flatMap((names) => names ?? [])];
  } catch (error) {
    if (!hasCode(error, 'ENOENT') && !hasCode(error, 'ESRCH')) throw error;
    return undefined;
  }
}
