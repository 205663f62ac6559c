// `rkt stop`, `rm`, `gc`, and how pods are named (contract stage0 8.2, 8.17).

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';

import { buildPod, lockPod } from '@rkt/testkit/pod-builder';
import { STUB_RUN_FOREVER } from '@rkt/testkit/stub-stage1';

import { podSuite } from '../lib/fixtures.ts';
import { stubFlag } from '../lib/images.ts';
import { eventually } from '../lib/process.ts';
import { expectStatus, FAILURE, INSECURE } from '../lib/rkt.ts';

podSuite('the end of pods', [], (the) => {
  describe('UUID arguments', () => {
    for (const verb of ['status', 'cat-manifest', 'stop', 'rm', 'run-prepared', 'enter']) {
      it(`of ${verb} must name one pod`, async () => {
        await the.rkt.fails([verb, 'ffff0000'], 'no matches found for "ffff0000"');
        await the.rkt.fails([verb, ''], 'UUID cannot be empty');
        await the.rkt.fails([verb, '../run'], 'no matches found for "../run"');
        const pods = ['1', '2'].map((last) =>
          buildPod(the.rkt.data, {
            directory: 'prepared',
            uuid: `abcdef00-0000-4000-8000-00000000000${last}`,
          }),
        );
        await the.rkt.fails([verb, 'abcdef'], 'ambiguous uuid, 2 matches');
        for (const pod of pods) pod.remove();
      });
    }
    it('may stand in a file', async () => {
      const uuid = await the.prepare();
      const path = the.rkt.tmp.join('uuid-file');
      writeFileSync(path, ` ${uuid}\n`);
      assert.match((await the.rkt.ok(['status', `--uuid-file=${path}`])).stdout, /^state=prepared$/m);
      await the.rkt.ok(['cat-manifest', `--uuid-file=${path}`, 'ignored']);
      expectStatus(await the.rkt.run(['status', `--uuid-file=${path}`, uuid]), FAILURE);
      expectStatus(await the.rkt.run(['rm', `--uuid-file=${path}`, uuid]), FAILURE);
      await the.rkt.fails(['cat-manifest', '--uuid-file=/nonexistent'], 'unable to resolve UUID from file');
      await the.rkt.fails(['rm', '--uuid-file=/nonexistent'], 'unable to resolve UUID from file');
      await the.rkt.fails(['status', '--uuid-file=/nonexistent'], 'unable to resolve UUID from file', {
        status: 1,
      });
      await the.rkt.fails(['stop', '--uuid-file=/nonexistent'], 'unable to resolve UUID from file', {
        status: 1,
      });
      await the.rkt.ok(['rm', `--uuid-file=${path}`]);
    });
  });

  describe('stop', () => {
    it('ends a running pod, and says so once', async () => {
      const { running, uuid } = await the.runForever();
      assert.equal(await the.state(uuid), 'running');
      assert.equal((await the.rkt.ok(['stop', uuid])).stdout, `"${uuid}"\n`);
      await running.ended;
      await eventually('the pod is exited', () => the.rkt.podsIn('run').length === 1);
      assert.equal(await the.state(uuid), 'exited');
      assert.equal((await the.rkt.ok(['stop', uuid])).stdout, `pod "${uuid}" is already stopped\n`);
    });
    it('--force kills', async () => {
      const { running, uuid } = await the.runForever();
      await the.rkt.ok(['stop', '--force', uuid]);
      assert.equal((await running.ended).status, 137);
    });
    it('takes running pods only, and goes on behind others', async () => {
      const { running, uuid } = await the.runForever();
      const prepared = await the.prepare();
      const result = await the.rkt.fails(['stop', prepared, 'ffff0000', uuid], 'failed to stop 2 pod(s)');
      assert.ok(result.output.includes(`pod "${prepared}" is not running`));
      await running.ended;
    });
    it('tells when stage1 cannot', async () => {
      const helpless = stubFlag(the.rkt, { run: STUB_RUN_FOREVER });
      const running = the.rkt.start([INSECURE, 'run', helpless, '--net=host', the.image]);
      await running.waitFor('stub: running');
      const [uuid = ''] = the.rkt.podsIn('run');
      await the.rkt.fails(['stop', uuid], "rkt stop not implemented for pod's stage1");
      running.kill('SIGKILL');
      await running.ended;
    });
  });

  describe('rm', () => {
    it('removes what does not run', async () => {
      const prepared = await the.prepare();
      const exited = await the.prepare();
      await the.rkt.ok(['run-prepared', '--net=host', exited]);
      const aborted = buildPod(the.rkt.data, { directory: 'prepare', manifest: null }).uuid;
      const result = await the.rkt.ok(['rm', prepared, exited, aborted]);
      for (const uuid of [prepared, exited, aborted]) assert.ok(result.stdout.includes(`"${uuid}"\n`));
      assert.deepEqual(await the.listed(), []);
    });
    it('leaves what runs, is prepared or is unknown, and removes the rest', async () => {
      const { uuid } = await the.runForever();
      const preparing = buildPod(the.rkt.data, { directory: 'prepare', manifest: null });
      const lock = await lockPod(preparing.dir);
      const prepared = await the.prepare();
      const result = await the.rkt.fails(
        ['rm', uuid, preparing.uuid, 'ffff0000', prepared],
        'failed to remove one or more pods',
      );
      assert.ok(result.stderr.includes(`pod "${uuid}" is currently running`));
      assert.ok(result.stderr.includes(`pod "${preparing.uuid}" is currently being prepared`));
      assert.ok(result.stdout.includes(`"${prepared}"`));
      assert.equal(await the.state(uuid), 'running');
      await lock.release();
    });
    it('wants arguments', async () => {
      expectStatus(await the.rkt.run(['rm']), FAILURE);
    });
  });

  describe('gc', () => {
    const old = (dir: string): void => utimesSync(dir, 0, 0);

    it('works on nothing', async () => {
      rmSync(`${the.rkt.data}/pods`, { recursive: true, force: true });
      const result = await the.rkt.ok(['gc', '--grace-period=0s']);
      assert.equal(result.output, '');
    });
    it('marks, waits, deletes, and says so', async () => {
      const uuid = await the.prepare();
      await the.rkt.ok(['run-prepared', '--net=host', uuid]);
      const first = await the.rkt.ok(['gc']);
      assert.ok(first.stderr.includes(`moving pod "${uuid}" to garbage`));
      assert.ok(
        first.stderr.includes(`pod "${uuid}" not removed: still within grace period (30m`),
        first.stderr,
      );
      assert.deepEqual(the.rkt.podsIn('exited-garbage'), [uuid]);
      assert.equal(await the.state(uuid), 'exited garbage');
      const second = await the.rkt.ok(['gc', '--grace-period=0']);
      assert.ok(second.stdout.includes(`Garbage collecting pod "${uuid}"`));
      assert.deepEqual(the.rkt.podsIn('exited-garbage'), []);
    });
    it('--mark-only deletes nothing', async () => {
      const uuid = await the.prepare();
      await the.rkt.ok(['run-prepared', '--net=host', uuid]);
      const aborted = buildPod(the.rkt.data, { directory: 'prepare', manifest: null });
      const prepared = await the.prepare();
      const { stderr } = await the.rkt.ok(['gc', '--mark-only', '--grace-period=0', '--expire-prepared=0']);
      assert.ok(stderr.includes(`moving failed prepare "${aborted.uuid}" to garbage`));
      assert.deepEqual(
        [the.rkt.podsIn('exited-garbage'), the.rkt.podsIn('garbage'), the.rkt.podsIn('prepared')],
        [[uuid], [aborted.uuid], [prepared]],
      );
    });
    it('expires prepared pods', async () => {
      const uuid = await the.prepare();
      await the.rkt.ok(['gc']);
      assert.deepEqual(the.rkt.podsIn('prepared'), [uuid]);
      const { stderr, stdout } = await the.rkt.ok(['gc', '--expire-prepared=0']);
      assert.ok(stderr.includes(`moving expired prepared pod "${uuid}" to garbage`));
      assert.ok(stdout.includes(`Garbage collecting pod "${uuid}"`));
    });
    it('leaves running and preparing pods alone', async () => {
      const { uuid } = await the.runForever();
      const preparing = buildPod(the.rkt.data, { directory: 'prepare', manifest: null });
      const lock = await lockPod(preparing.dir);
      await the.rkt.ok(['gc', '--grace-period=0', '--expire-prepared=0']);
      assert.deepEqual([the.rkt.podsIn('run'), the.rkt.podsIn('prepare')], [[uuid], [preparing.uuid]]);
      await lock.release();
    });
    it("deletes although stage1's gc fails or is missing", async () => {
      for (const options of [{ gc: 'echo broken >&2; exit 7' }, { without: ['gc'] }] as const) {
        const flag = stubFlag(the.rkt, options);
        const uuid = await the.rkt.prepare([flag, the.image]);
        await the.rkt.ok(['run-prepared', '--net=host', uuid]);
        await the.rkt.ok(['gc', '--grace-period=0']);
        assert.deepEqual(the.rkt.podsIn('exited-garbage'), []);
      }
    });
    it('calls the gc entry point in the pod directory', async () => {
      const record = the.rkt.tmp.join('gc-record');
      const flag = stubFlag(the.rkt, {
        gc: `{ pwd; echo "$@"; } > ${record}`,
        annotations: { 'coreos.com/rkt/stage1/interface-version': '5' },
      });
      const uuid = await the.rkt.prepare([flag, the.image]);
      await the.rkt.ok(['run-prepared', '--net=host', uuid]);
      await the.rkt.ok(['--debug', 'gc', '--grace-period=0']);
      const [cwd, args] = readFileSync(record, 'utf8').trimEnd().split('\n');
      assert.equal(cwd, `${the.rkt.data}/pods/exited-garbage/${uuid}`);
      assert.equal(args, `--debug --local-config ${the.rkt.localConfig} ${uuid}`);
    });
    it('survives pods that are half there', async () => {
      const broken = [
        buildPod(the.rkt.data, { directory: 'exited-garbage', manifest: null }),
        buildPod(the.rkt.data, { directory: 'garbage', manifest: '{' }),
        buildPod(the.rkt.data, {
          directory: 'exited-garbage',
          stage1TreeId: `deps-sha512-${'2'.repeat(64)}`,
        }),
        buildPod(the.rkt.data, { directory: 'embryo', manifest: null }),
      ];
      for (const pod of broken) old(pod.dir);
      mkdirSync(`${the.rkt.data}/pods/garbage/00000000-0000-4000-8000-000000000000`, { recursive: true });
      await the.rkt.ok(['gc', '--grace-period=0']);
      assert.deepEqual([the.rkt.podsIn('exited-garbage'), the.rkt.podsIn('garbage')], [[], []]);
    });
    it('follows no symlink of a pod', async () => {
      const pod = buildPod(the.rkt.data, { directory: 'garbage' });
      const victim = the.rkt.tmp.join('victim');
      mkdirSync(victim, { recursive: true });
      writeFileSync(`${victim}/keep`, 'x');
      symlinkSync(victim, `${pod.dir}/link`);
      rmSync(`${pod.dir}/stage1`, { recursive: true });
      symlinkSync(victim, `${pod.dir}/stage1`);
      await the.rkt.ok(['gc', '--grace-period=0']);
      assert.equal(readFileSync(`${victim}/keep`, 'utf8'), 'x');
    });
  });
});
