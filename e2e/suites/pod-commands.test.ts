// enter, stop, export, status and exit files of real pods (contract stage0 8.16-8.18, stage1 2.7, 8.6-8.8).

import assert from 'node:assert/strict';
import { copyFileSync, existsSync, rmSync, writeFileSync } from 'node:fs';

import { openKernel } from '@rkt/linux/libc';
import { inspectFiles, inspectManifest } from '@rkt/testkit/inspect';

import { mountPoints, processesBelow } from '../lib/cleanup.ts';
import { RKT_BIN } from '../lib/environment.ts';
import type { PodJson } from '../lib/fixtures.ts';
import { forEachFlavour, lines } from '../lib/flavours.ts';
import { inspectImage, writeImage } from '../lib/images.ts';
import type { Running } from '../lib/process.ts';
import { eventually, execute } from '../lib/process.ts';
import { requires } from '../lib/requires.ts';
import { expectStatus } from '../lib/rkt.ts';
import { suite } from '../lib/suite.ts';

suite('commands on pods', ['root', 'busybox'], (the) => {
  let image = '';
  before(() => {
    image = inspectImage(the.rkt);
  });

  forEachFlavour([], (flavour) => {
    const start = async (
      flags: readonly string[] = [],
      options: readonly string[] = ['--print-msg=up', '--sleep=100'],
    ): Promise<{ running: Running; uuid: string }> => {
      const running = the.rkt.start(flavour.run(image, ...flags, '--', ...options));
      await running.waitFor(/\bup\r?$/m);
      const [uuid = ''] = the.rkt.podsIn('run');
      return { running, uuid };
    };

    describe('enter', () => {
      it("runs a command in the app, with its environment and the caller's terminal type", async () => {
        const { uuid } = await start(['--environment=EXTRA=x']);
        const result = await the.rkt.ok(
          [
            'enter',
            uuid,
            '/inspect',
            '--print-env=VAR_FROM_MANIFEST',
            '--print-env=EXTRA',
            '--print-cwd',
            '--print-user',
            '--read-file',
            '--file-name=/dir1/file',
          ],
          { env: { CALLER: 'me' } },
        );
        assert.deepEqual(lines(result.stdout), [
          'VAR_FROM_MANIFEST=manifest',
          'EXTRA=x',
          'cwd: /',
          'User: uid=0 euid=0 gid=0 egid=0',
          '<<<dir1>>>',
        ]);
        const caller = await the.rkt.ok(['enter', uuid, '/inspect', '--print-env=CALLER'], {
          env: { CALLER: 'me' },
        });
        assert.deepEqual(lines(caller.stdout), ['CALLER=']);
      });
      it('ends with the status of the command, and with its signal', async () => {
        const { uuid } = await start();
        expectStatus(await the.rkt.run(['enter', uuid, '/inspect', '--exit-code=42']), 42);
        const killed = await the.rkt.run(['enter', uuid, '/inspect', '--kill-self=TERM']);
        assert.equal(killed.status, 143);
      });
      it('hands streams and terminals on', async () => {
        const { uuid } = await start();
        const piped = await the.rkt.ok(['enter', uuid, '/inspect', '--read-stdin', '--print-err=e'], {
          input: 'given\n',
        });
        assert.match(piped.stdout, /Received text: given/);
        assert.match(piped.stderr, /^e\n$/);
        const typed = the.rkt.startOnTerminal(['enter', uuid, '/inspect', '--check-tty', '--read-stdin']);
        await typed.waitFor('Enter text:');
        typed.write('typed\n');
        assert.match((await typed.ended).output, /stdin is a terminal[^]*Received text: typed/);
      });
      it('gives the limits of the app, not those of the host', async () => {
        const { uuid } = await start();
        const caps = async (path: string): Promise<string> =>
          lines((await the.rkt.ok(['enter', uuid, '/inspect', `--print-caps-pid=0`])).stdout).find((line) =>
            line.includes(path),
          ) ?? '';
        if (flavour.can.capabilities) assert.ok(!(await caps('bounding')).includes('sys_admin'));
        const fds = await the.rkt.ok(['enter', uuid, '/inspect', '--print-fds', '--print-no-new-privs']);
        assert.equal(lines(fds.stdout)[0], 'Descriptors: 0 1 2');
      });
      it("joins the pod's control group", async function () {
        requires(this, 'cgroup-v1');
        if (!flavour.can.isolated) this.skip();
        const { uuid } = await start();
        const result = await the.rkt.ok(['enter', uuid, '/inspect', '--print-cgroups']);
        // Seen from the pod's own root of control groups: what is outside would start with `/..`.
        const groups = lines(result.stdout);
        assert.ok(
          groups.some((line) => line.endsWith(':name=systemd:/system.slice/rkt-inspect.service')),
          result.stdout,
        );
        assert.ok(!groups.some((line) => line.includes(':/..')), result.stdout);
      });
      it('explains what it cannot find', async () => {
        const { uuid } = await start();
        const result = await the.rkt.run(['enter', uuid, '/nonexistent']);
        assert.notEqual(result.status, 0);
        assert.match(result.output, /nonexistent/);
      });
      it("finds commands on the app's PATH", async function () {
        if (!flavour.can.isolated) this.skip();
        const { uuid } = await start();
        assert.match(
          (await the.rkt.ok(['enter', uuid, 'inspect-link-bin', '--print-cwd'])).stdout,
          /cwd: \//,
        );
      });
    });

    describe('stop', () => {
      it('ends the pod in order, with status 0', async function () {
        const { running, uuid } = await start([], ['--silent-sigterm', '--print-msg=up', '--sleep=100']);
        await the.rkt.ok(['stop', uuid]);
        expectStatus(await running.ended, 0);
        const status = await the.rkt.status(uuid);
        assert.equal(status['state'], 'exited');
      });
      it('--force kills all of it', async () => {
        const { running, uuid } = await start([], ['--ignore-sigterm', '--print-msg=up', '--sleep=100']);
        await the.rkt.ok(['stop', '--force', uuid]);
        assert.equal((await running.ended).status, 137);
        await eventually(
          'no process of the pod',
          () => processesBelow(`${the.rkt.data}/pods/run/${uuid}`).length === 0,
        );
      });
    });

    describe('export', () => {
      for (const overlay of [true, false]) {
        it(`gives an image that runs again ${overlay ? 'from an overlay' : 'without overlay'}`, async function () {
          if (overlay) requires(this, 'overlayfs');
          // fly leaves mounts below the app's root until gc, so a copied pod cannot be exported.
          if (!overlay && !flavour.can.isolated) this.skip();
          const flags = overlay ? [] : ['--no-overlay'];
          await the.rkt.ok(
            flavour.run(
              ...flags,
              image,
              '--name=x',
              '--',
              '--write-file',
              '--file-name=/dir1/new',
              '--content=exported',
            ),
          );
          const [uuid = ''] = the.rkt.podsIn('run');
          const out = the.rkt.tmp.join(`export-${flavour.name}-${overlay}.aci`);
          await the.rkt.ok(['export', uuid, out]);
          await the.rkt.fails(['export', uuid, out], 'target file exists (try --overwrite)');
          await the.rkt.ok(['export', '--overwrite', '--app=x', uuid, out]);
          const listing = await execute('tar', ['--list', '--gzip', '--file', out]);
          const names = lines(listing.stdout);
          assert.equal(names.at(-1), 'manifest');
          assert.match(names[0] ?? '', /^rootfs\/?$/);
          assert.ok(!names.some((name) => /^rootfs\/(proc|sys)\/./.test(name)));
          const again = await the.rkt.ok(flavour.run(out, '--', '--read-file', '--file-name=/dir1/new'));
          assert.deepEqual(flavour.linesOf(again), ['<<<exported>>>']);
        });
      }
      it('refuses pods that run, names that end otherwise, apps that are not there', async () => {
        const { uuid, running } = await start();
        await the.rkt.fails(
          ['export', uuid, the.rkt.tmp.join('r.aci')],
          'pod is not exited. Only exited pods can be exported',
        );
        running.kill('SIGTERM');
        await running.ended;
        await the.rkt.fails(['export', uuid, the.rkt.tmp.join('r.tar')], 'extension must be .aci (given ');
        await the.rkt.fails(
          ['export', '--app=other', uuid, the.rkt.tmp.join('r.aci')],
          'app other is not present in pod',
        );
        assert.equal(existsSync(the.rkt.tmp.join('r.aci')), false);
      });
      it('refuses copies with something mounted in them', async () => {
        await the.rkt.ok(flavour.run('--no-overlay', image, '--name=x', '--exec=/bin/true'));
        const [uuid = ''] = the.rkt.podsIn('run');
        const place = `${the.rkt.podDir(uuid)}/stage1/rootfs/opt/stage2/x/rootfs/dir1`;
        openKernel().mount('none', place, 'tmpfs', 0, null);
        await the.rkt.fails(
          ['export', uuid, the.rkt.tmp.join('m.aci')],
          'pod has remaining mountpoints. Only pods using overlayfs or with no mountpoints can be exported',
        );
        openKernel().umount2(place, 0);
        assert.equal(existsSync(the.rkt.tmp.join('m.aci')), false);
      });
    });

    it('status follows the pod', async () => {
      const { running, uuid } = await start();
      const status = await the.rkt.status(uuid);
      assert.equal(status['state'], 'running');
      assert.equal(status['exited'], 'false');
      assert.equal(Number(status['pid']), running.pid);
      assert.match(
        (await the.rkt.ok(['list', '--no-legend'])).stdout,
        new RegExp(`^${uuid.slice(0, 8)}\\trkt-inspect\\t.*\\trunning\\t`),
      );
      if (flavour.can.readiness) await the.rkt.ok(['status', '--wait-ready=20s', uuid]);
      const waiting = the.rkt.start(['status', '--wait', uuid]);
      running.kill('SIGTERM');
      await running.ended;
      const { stdout } = expectStatus(await waiting.ended, 0);
      assert.match(stdout, /^state=exited$/m);
    });

    it('gc and rm leave running pods alone and take all of the others', async () => {
      await the.rkt.ok(flavour.run(image));
      const [exited = ''] = the.rkt.podsIn('run');
      const { uuid } = await start();
      const running = the.rkt.podsIn('run').find((each) => each !== exited) ?? uuid;
      await the.rkt.ok(['gc', '--grace-period=0s']);
      assert.deepEqual(the.rkt.podsIn('run'), [running]);
      await the.rkt.fails(['rm', running], `pod "${running}" is currently running`);
      assert.deepEqual(
        mountPoints().filter((each) => each.includes(exited)),
        [],
      );
    });

    it('run-prepared does the same as run', async () => {
      const uuid = await the.rkt.prepare([
        ...flavour.stage1,
        image,
        '--',
        '--print-msg=prepared',
        '--exit-code=5',
      ]);
      const result = expectStatus(await the.rkt.run(['run-prepared', ...flavour.net, uuid]), 5);
      assert.deepEqual(flavour.linesOf(result), ['prepared']);
    });

    it('runs without the images and the tree of the store being asked again', async () => {
      const own = inspectImage(the.rkt, { name: 'example.com/gone' });
      const uuid = await the.rkt.prepare([...flavour.stage1, own, '--', '--print-msg=still']);
      await the.rkt.ok(['image', 'rm', 'example.com/gone']);
      rmSync(own);
      await the.rkt.ok(['image', 'gc']);
      assert.deepEqual(flavour.linesOf(await the.rkt.ok(['run-prepared', ...flavour.net, uuid])), ['still']);
    });

    it('is not disturbed when rkt is replaced', async () => {
      const copy = the.rkt.tmp.join('rkt-copy');
      copyFileSync(RKT_BIN, copy);
      const args = flavour.run(image, '--', '--print-msg=up', '--sleep=3', '--exit-code=4');
      const running = the.rkt.startBare([...the.rkt.directoryFlags, ...args], {}, copy);
      await running.waitFor(/\bup\r?$/m);
      rmSync(copy);
      writeFileSync(copy, 'replaced');
      expectStatus(await running.ended, 4);
    });
  });

  forEachFlavour(['statusFiles'], (flavour) => {
    it('status files hold what became of each app', async () => {
      await the.rkt.run(flavour.run(image, '--name=bad', '--exec=/bin/false'));
      const [uuid = ''] = the.rkt.podsIn('run');
      assert.equal((await the.rkt.status(uuid))['app-bad'], '1');
      const { stdout } = await the.rkt.ok(['status', '--format=json', uuid]);
      const pod = JSON.parse(stdout) as PodJson;
      assert.deepEqual(
        pod.apps?.map(({ name, state, exit_code }) => [name, state, exit_code]),
        [['bad', 'exited', 1]],
      );
      await the.rkt.ok(['gc']);
      assert.equal((await the.rkt.status(uuid))['app-bad'], '1');
    });
    it('status files are 203 for programs that cannot be executed, with a reason', async () => {
      const own = writeImage(the.rkt, {
        manifest: inspectManifest([]),
        files: [...inspectFiles(), { path: 'script', mode: 0o755, content: '#!/no/such/interpreter\n' }],
      });
      const result = await the.rkt.run(flavour.run(own, '--exec=/script'));
      expectStatus(result, 203);
      assert.match(result.output, /Unable to open "\/no\/such\/interpreter"/);
    });
  });
});
