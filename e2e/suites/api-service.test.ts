// `rkt api-service` (contract stage1 7, stage0 1.1): the service of the built executable, asked by a gRPC client.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import {
  overlayPreparedMark,
  type PodDir,
  stage1StatusRoot,
  stage1TreeIdFile,
  subcgroupFile,
} from '@rkt/pod-layout/pod-paths';
import { JOURNAL_DIR, onHost } from '@rkt/pod-layout/stage1-paths';
import { ApiClient } from '@rkt/testkit/api-client';
import { buildPod, lockPod } from '@rkt/testkit/pod-builder';

import { RKT_BIN } from '../lib/environment.ts';
import { podSuite } from '../lib/fixtures.ts';
import { forEachFlavour, lines } from '../lib/flavours.ts';
import { shellImage } from '../lib/images.ts';
import type { Running } from '../lib/process.ts';
import { requires } from '../lib/requires.ts';
import { bareRkt, expectStatus, FAILURE, type Rkt } from '../lib/rkt.ts';

interface PodJson {
  readonly id: string;
  readonly pid: number;
  readonly state: string;
  readonly apps: readonly {
    readonly name: string;
    readonly state: string;
    readonly exit_code: number;
    readonly image: { readonly name: string; readonly id: string; readonly version: string };
  }[];
  readonly manifest: Buffer;
  readonly cgroup: string;
  readonly created_at: string;
  readonly started_at: string;
}

/** The service of an rkt, and a client of it. */
class Service implements AsyncDisposable {
  readonly running: Running;
  readonly client: ApiClient;

  private constructor(running: Running, client: ApiClient) {
    this.running = running;
    this.client = client;
  }

  static async start(rkt: Rkt, options: Parameters<Rkt['start']>[1] = {}): Promise<Service> {
    const running = rkt.start(['api-service', '--listen=127.0.0.1:0'], options);
    await running.waitFor('API service running');
    const [, address = ''] = await running.waitFor(/Listening on (\S+)/);
    return new Service(running, await ApiClient.connect(address));
  }

  async pods(...filters: object[]): Promise<readonly PodJson[]> {
    return (await this.client.call<{ pods: readonly PodJson[] }>('ListPods', { filters })).pods;
  }

  async pod(id: string): Promise<PodJson> {
    return (await this.client.call<{ pod: PodJson }>('InspectPod', { id })).pod;
  }

  /** Messages of the journal, without their times. */
  async logs(
    request: Readonly<Record<string, unknown>>,
    take: (lines: readonly string[]) => boolean | void = () => undefined,
  ): Promise<string[]> {
    const found: string[] = [];
    await this.client.stream<{ lines: readonly string[] }>('GetLogs', request, ({ lines }) => {
      found.push(...lines.map((line) => line.replace(/^\S+ \S+ \+0000 UTC /, '')));
      return take(found);
    });
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client.close();
    this.running.kill('SIGTERM');
    expectStatus(await this.running.ended, 0);
  }
}

podSuite('api-service', [], (the) => {
  describe('the process', () => {
    it('says what it does, and ends with status 0 on SIGTERM and SIGINT, with clients connected', async () => {
      for (const signal of ['SIGTERM', 'SIGINT'] as const) {
        const service = await Service.start(the.rkt);
        await service.client.call('GetInfo');
        service.running.kill(signal);
        const { stderr, stdout } = expectStatus(await service.running.ended, 0);
        service.client.close();
        assert.equal(stdout, '');
        assert.match(
          stderr,
          /^api-service: API service starting\.\.\.\napi-service: Listening on 127\.0\.0\.1:\d+\napi-service: API service running\napi-service: API service exiting\.\.\.\n$/,
        );
      }
    });
    it('says why it cannot listen', async () => {
      await using service = await Service.start(the.rkt);
      const [, address = ''] = await service.running.waitFor(/Listening on (\S+)/);
      await the.rkt.fails(
        ['api-service', `--listen=${address}`],
        /^api-service: Failed to open sockets: .*EADDRINUSE/m,
      );
      await the.rkt.fails(
        ['api-service', '--listen=nonsense'],
        'Failed to open sockets: nonsense is no address',
      );
    });
    it('opens no debugger for SIGUSR1', async () => {
      const service = await Service.start(the.rkt);
      service.running.kill('SIGUSR1');
      await service.client.call('GetInfo');
      service.running.kill('SIGTERM');
      const { stderr } = expectStatus(await service.running.ended, 0);
      service.client.close();
      assert.doesNotMatch(stderr, /Debugger/);
    });
    it('takes no words', async () => {
      expectStatus(await the.rkt.run(['api-service', 'x']), FAILURE);
    });
    it('is in help and completion', async () => {
      assert.match((await bareRkt(['help'])).stdout, /rkt api-service +Tell other programs/);
      assert.match((await bareRkt(['help', 'api-service'])).stdout, /--listen=localhost:15441/);
      assert.match((await bareRkt(['completion', 'bash'])).stdout, /api-service\) echo|'api-service'\) echo/);
    });
    it('serves sockets that systemd passes, and nothing else then', async function () {
      requires(this, 'program:systemd-socket-activate');
      const port = 20_000 + (process.pid % 20_000);
      const args = [
        `--listen=127.0.0.1:${port}`,
        `--listen=[::1]:${port}`,
        RKT_BIN,
        ...the.rkt.directoryFlags,
        'api-service',
      ];
      const running = the.rkt.startBare(args, {}, 'systemd-socket-activate');
      await running.waitFor('Listening on [::1]');
      for (const address of [`127.0.0.1:${port}`, `[::1]:${port}`]) {
        using client = await ApiClient.connect(address);
        await client.call('GetInfo');
      }
      assert.match(running.output, /api-service: Listening on 2 systemd-provided socket\(s\)/);
      running.kill('SIGTERM');
      expectStatus(await running.ended, 0);

      const refused = the.rkt.startBare([...args, '--listen=127.0.0.1:0'], {}, 'systemd-socket-activate');
      await refused.waitFor('Listening on [::1]');
      await assert.rejects(ApiClient.connect(`127.0.0.1:${port}`));
      const { output } = expectStatus(await refused.ended, FAILURE);
      assert.match(output, /started under systemd\.socket\(5\), but --listen passed! Quitting\./);
    });
  });

  describe('pods', () => {
    it('prepared, running, exited, marked', async () => {
      await using service = await Service.start(the.rkt);
      const { info } = await service.client.call<{ info: { global_flags: { dir: string } } }>('GetInfo');
      assert.equal(info.global_flags.dir, the.rkt.data);
      const prepared = await the.prepare();
      const { running, uuid } = await the.runForever();
      const states = new Map((await service.pods()).map(({ id, state }) => [id, state]));
      assert.equal(states.get(prepared), 'POD_STATE_PREPARED');
      assert.equal(states.get(uuid), 'POD_STATE_RUNNING');
      const [only] = await service.pods({ states: ['POD_STATE_RUNNING'], app_names: ['tiny'] });
      assert.equal(only?.id, uuid);
      assert.equal(only?.apps[0]?.image.name, 'example.com/tiny');
      assert.equal(only?.apps[0]?.state, 'APP_STATE_RUNNING');
      await the.rkt.ok(['stop', uuid]);
      await running.ended;
      const exited = await service.pod(uuid.slice(0, 13));
      assert.deepEqual([exited.state, exited.apps[0]?.state], ['POD_STATE_EXITED', 'APP_STATE_EXITED']);
      assert.equal(
        exited.manifest.toString(),
        (await the.rkt.ok(['cat-manifest', '--pretty-print=false', uuid])).stdout.trim(),
      );
      assert.ok(BigInt(exited.started_at) >= BigInt(exited.created_at));
      // A pod that is looked at all the time can be run, marked and deleted all the same.
      const polling = { isOn: true };
      const poll = (async () => {
        while (polling.isOn) await service.pods();
      })();
      expectStatus(await the.rkt.run(['run-prepared', '--net=host', prepared]), 0);
      await the.rkt.ok(['gc', '--mark-only']);
      polling.isOn = false;
      await poll;
      const garbage = await service.pods({ states: ['POD_STATE_GARBAGE'] });
      assert.deepEqual(garbage.map(({ id }) => id).sort(), [prepared, uuid].sort());
    });
    it('as a user who may only read, and of no data directory', async () => {
      const { uuid } = buildPod(the.rkt.data, { directory: 'prepared' });
      for (const [program = '', ...args] of [
        ['chgrp', '-R', '54321'],
        ['chmod', '-R', 'g+rX,o-rwx'],
      ]) {
        assert.equal(spawnSync(program, [...args, the.rkt.data]).status, 0);
      }
      {
        await using service = await Service.start(the.rkt, { uid: 65_534, gid: 54_321 });
        assert.equal((await service.pod(uuid)).state, 'POD_STATE_PREPARED');
        await service.pods();
        await service.client.call('ListImages');
      }
      chmodSync(the.rkt.data, 0o755);
    });
    it('a thousand of them in 200 ms', async function () {
      this.timeout(120_000);
      const locks: { release(): Promise<void> }[] = [];
      for (let index = 0; index < 1000; index += 1) {
        const pod = buildPod(the.rkt.data, {
          directory: 'run',
          startedAt: new Date(),
          apps: [{ name: 'a' }, { name: 'b' }],
        });
        if (index < 5) locks.push(await lockPod(pod.dir));
      }
      await using service = await Service.start(the.rkt);
      const times: number[] = [];
      for (let round = 0; round < 8; round += 1) {
        const before = performance.now();
        const pods = await service.pods({ app_names: ['a'] });
        times.push(performance.now() - before);
        assert.equal(pods.length, 1000);
      }
      for (const lock of locks) await lock.release();
      const best = Math.min(...times);
      assert.ok(best < 200, `took ${times.map((time) => time.toFixed()).join(', ')} ms`);
      // Much quicker than gc, or node, where so many files are concerned.
      spawnSync('rm', ['-rf', join(the.rkt.data, 'pods')]);
    });
  });

  forEachFlavour(['statusFiles'], (flavour) => {
    it('exit codes, control group and logs of a real pod, while it runs and afterwards', async function () {
      requires(this, 'busybox', 'program:journalctl');
      await using service = await Service.start(the.rkt);
      const signals = the.rkt.tmp.join('signals');
      mkdirSync(signals, { recursive: true });
      const long = 'x'.repeat(2000);
      const script = `echo first; echo ${long}; while [ ! -e /signals/go ]; do sleep 0.1; done; echo third; exit 3`;
      const image = shellImage(the.rkt, script, { name: 'example.com/talker' });
      const uuidFile = the.rkt.tmp.join('talker-uuid');
      const running = the.rkt.start(
        flavour.run(
          `--uuid-file-save=${uuidFile}`,
          `--volume=signals,kind=host,source=${signals}`,
          image,
          '--mount=volume=signals,target=/signals',
        ),
      );
      await running.waitFor('first');
      const pod_id = readFileSync(uuidFile, 'utf8');

      const during = await service.pod(pod_id);
      assert.deepEqual([during.state, during.apps[0]?.state], ['POD_STATE_RUNNING', 'APP_STATE_RUNNING']);
      assert.ok(during.pid > 0);
      const recorded = readFileSync(subcgroupFile(the.rkt.podDir(pod_id)), 'utf8');
      assert.equal(during.cgroup, `/${recorded.replace(/^\//, '')}`);
      assert.equal((await service.pods({ pod_sub_cgroups: [`${during.cgroup}/x`] }))[0]?.id, pod_id);

      const followed = await service.logs({ pod_id, app_name: 'talker', follow: true }, (seen) => {
        if (seen.length === 2) writeFileSync(join(signals, 'go'), '');
        return seen.length === 3;
      });
      assert.deepEqual(followed, ['first', long, 'third']);
      expectStatus(await running.ended, 3);

      const after = await service.pod(pod_id);
      assert.deepEqual([after.state, after.cgroup, after.apps[0]?.exit_code], ['POD_STATE_EXITED', '', 3]);
      assert.deepEqual(await service.logs({ pod_id, app_name: 'talker' }), ['first', long, 'third']);
      assert.deepEqual(await service.logs({ pod_id, app_name: 'talker', lines: 1 }), ['third']);
      // All entries, as systemd's own reader finds them.
      const theirs = spawnSync('journalctl', ['--output=cat', '-D', journalOf(the.rkt.podDir(pod_id))], {
        encoding: 'utf8',
      });
      const whole = await service.logs({ pod_id });
      assert.deepEqual(whole, lines(theirs.stdout));
      assert.ok(whole.length >= followed.length);
    });
  });
});

// Where a pod's journal stays when its mounts are gone.
function journalOf(pod: PodDir): string {
  const tree = existsSync(overlayPreparedMark(pod)) ? readFileSync(stage1TreeIdFile(pod), 'utf8') : undefined;
  const directory = onHost(stage1StatusRoot(pod, tree), JOURNAL_DIR);
  const [machine = ''] = readdirSync(directory);
  return join(directory, machine);
}
