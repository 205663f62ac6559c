// `rkt list` and `rkt status` (contract stage0 8.14-8.16).

import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';

import { buildPod, lockPod } from '@rkt/testkit/pod-builder';

import type { PodJson } from '../lib/fixtures.ts';
import { podSuite } from '../lib/fixtures.ts';
import { tinyImage } from '../lib/images.ts';
import { sleep } from '../lib/process.ts';
import { expectStatus, FAILURE } from '../lib/rkt.ts';

const TIME = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,3})? [+-]\d{4} [A-Z]+$/;

podSuite('listing pods', [], (the) => {
  describe('list', () => {
    it('of nothing is a header', async () => {
      const { stdout } = await the.rkt.ok(['list']);
      assert.deepEqual(stdout.trimEnd().split(/\t+/), [
        'UUID',
        'APP',
        'IMAGE NAME',
        'STATE',
        'CREATED',
        'STARTED',
        'NETWORKS',
      ]);
      const full = await the.rkt.ok(['list', '--full']);
      assert.deepEqual(full.stdout.trimEnd().split(/\t+/), [
        'UUID',
        'APP',
        'IMAGE NAME',
        'IMAGE ID',
        'STATE',
        'CREATED',
        'STARTED',
        'NETWORKS',
      ]);
      assert.equal((await the.rkt.ok(['list', '--format=json'])).stdout.trim(), 'null');
    });
    it('shows every state', async () => {
      const now = Date.now();
      const of = (minutes: number): Date => new Date(now - minutes * 60_000);
      const locks: { release(): Promise<void> }[] = [];
      const add = async (
        directory: Parameters<typeof buildPod>[1]['directory'],
        locked: boolean,
        more: object = {},
      ): Promise<string> => {
        const pod = buildPod(the.rkt.data, { directory, createdAt: of(5), ...more });
        if (locked) locks.push(await lockPod(pod.dir));
        return pod.uuid;
      };
      const expected = new Map<string, string>([
        [await add('prepare', true, { manifest: null }), 'preparing'],
        [await add('prepare', false, { manifest: null }), 'aborted prepare'],
        [await add('prepared', false), 'prepared'],
        [await add('run', true, { startedAt: of(3) }), 'running'],
        [
          await add('run', false, { startedAt: of(3), apps: [{ name: 'a', exitStatus: 1 }, { name: 'b' }] }),
          'exited',
        ],
        [await add('exited-garbage', false, { startedAt: of(3) }), 'exited garbage'],
        [await add('exited-garbage', true, { startedAt: of(3) }), 'exited deleting'],
      ]);
      const { stdout } = await the.rkt.ok(['list', '--no-legend', '--full']);
      const rows = stdout
        .trimEnd()
        .split('\n')
        .map((line) => line.split('\t'));
      const uuids = rows.map(([uuid = '']) => uuid).filter((uuid) => uuid !== '');
      assert.deepEqual(uuids, [...expected.keys()].sort());
      for (const [uuid, name] of expected) {
        const line = stdout.split('\n').find((each) => each.startsWith(uuid)) ?? '';
        assert.ok(line.split(/\t+/).includes(name), `${line} lacks ${name}`);
        assert.equal(await the.state(uuid), name);
      }
      const short = (await the.rkt.ok(['list', '--no-legend'])).stdout;
      assert.match(short, /\t5 minutes ago\t+3 minutes ago/);
      assert.match(short, /^\t+b\t/m);
      assert.match(short, /^[0-9a-f]{8}\t-\t/m);
      for (const lock of locks) await lock.release();
    });
    it('prints times and image ids in full', async () => {
      const before = Date.now();
      const uuid = await the.prepare();
      await the.rkt.ok(['run-prepared', '--net=host', uuid]);
      const after = Date.now();
      const line = (await the.rkt.ok(['list', '--full', '--no-legend'])).stdout.split('\n')[0] ?? '';
      const [first, app, name, id, podState, created = '', started = ''] = line.split(/\t+/);
      assert.deepEqual([first, app, name, podState], [uuid, 'tiny', 'example.com/tiny:1.0.0', 'exited']);
      assert.match(id ?? '', /^sha512-[0-9a-f]{12}$/);
      for (const time of [created, started]) {
        assert.match(time, TIME);
        const told = Date.parse(time.replace(/ [A-Z]+$/, ''));
        assert.ok(told > before - 2000 && told < after + 2000, time);
      }
    });
    it('survives the removal of the image', async () => {
      const own = tinyImage(the.rkt, { name: 'example.com/own', exec: ['/x'] });
      const key = await the.rkt.fetch(own);
      await the.rkt.prepare([the.stub, own]);
      await the.rkt.ok(['image', 'rm', key]);
      assert.match((await the.rkt.ok(['list', '--no-legend'])).stdout, /example\.com\/own:1\.0\.0/);
    });
    it('prints JSON', async () => {
      const uuid = await the.prepare();
      const pods = await the.listed();
      const pod = pods.find(({ name }) => name === uuid);
      assert.equal(pod?.state, 'prepared');
      assert.deepEqual(pod?.app_names, ['tiny']);
      assert.equal(pod?.apps?.[0]?.state, 'created');
      assert.match(pod?.apps?.[0]?.image_id ?? '', /^sha512-/);
      assert.ok(Math.abs((pod?.created_at ?? 0) * 1000 - Date.now()) < 60_000);
      assert.match((await the.rkt.ok(['list', '--format=json-pretty'])).stdout, /^\[\n\t\{\n\t\t"name": "/);
      await the.rkt.fails(['list', '--format=xml'], /nvalid/);
    });
    it('shows networks', async () => {
      const network = {
        netName: 'default',
        netConf: 'net/99-default.conf',
        pluginPath: 'p',
        ifName: 'eth0',
        ip: '172.16.28.2',
        args: '',
        mask: '255.255.255.0',
      };
      const pod = buildPod(the.rkt.data, {
        directory: 'run',
        startedAt: new Date(),
        networks: [network, { ...network, netName: 'other', ip: '10.1.1.2' }],
      });
      assert.match(
        (await the.rkt.ok(['list', '--no-legend'])).stdout,
        /default:ip4=172\.16\.28\.2, other:ip4=10\.1\.1\.2/,
      );
      assert.equal(
        (await the.rkt.status(pod.uuid))['networks'],
        'default:ip4=172.16.28.2, other:ip4=10.1.1.2',
      );
      assert.equal((await the.listed())[0]?.networks?.[0]?.ip, '172.16.28.2');
    });
    it('tells of broken pods and goes on', async () => {
      const broken = buildPod(the.rkt.data, { directory: 'prepared', manifest: '{"acKind"' });
      const uuid = await the.prepare();
      mkdirSync(`${the.rkt.data}/pods/run`, { recursive: true });
      writeFileSync(`${the.rkt.data}/pods/run/stray`, '');
      const result = await the.rkt.ok(['list', '--no-legend']);
      assert.match(result.stdout, new RegExp(uuid.slice(0, 8)));
      assert.match(result.stderr, /error\(s\) encountered when listing pods:/);
      assert.ok(result.stderr.includes(`Unable to read pod ${broken.uuid} manifest:`), result.stderr);
      assert.match(result.stderr, /unrecognized entry: "stray", ignoring/);
      rmSync(`${the.rkt.data}/pods/run/stray`);
    });
  });

  describe('status', () => {
    it('prints the lines of the contract in order', async () => {
      const uuid = await the.prepare();
      const before = (await the.rkt.ok(['status', uuid])).stdout
        .trimEnd()
        .split('\n')
        .map((line) => line.replace(/=.*/, ''));
      assert.deepEqual(before, ['state', 'created']);
      await the.rkt.ok(['run-prepared', '--net=host', uuid]);
      const after = (await the.rkt.ok(['status', uuid])).stdout
        .trimEnd()
        .split('\n')
        .map((line) => line.replace(/=.*/, ''));
      assert.deepEqual(after, ['state', 'created', 'started', 'networks', 'pid', 'exited']);
      const status = await the.rkt.status(uuid);
      assert.equal(status['exited'], 'true');
      assert.match(status['created'] ?? '', TIME);
      assert.match(status['pid'] ?? '', /^\d+$/);
    });
    it('shows exit codes of apps that have a status', async () => {
      const { uuid } = buildPod(the.rkt.data, {
        directory: 'run',
        startedAt: new Date(),
        apps: [{ name: 'web', exitStatus: 0 }, { name: 'db', exitStatus: 3 }, { name: 'none' }],
      });
      const status = await the.rkt.status(uuid);
      assert.deepEqual([status['app-web'], status['app-db'], status['app-none']], ['0', '3', undefined]);
      const { stdout } = await the.rkt.ok(['status', '--format=json', uuid]);
      const pod = JSON.parse(stdout) as PodJson;
      assert.deepEqual(
        pod.apps?.map(({ state: appState, exit_code }) => [appState, exit_code ?? 0]),
        [
          ['exited', 0],
          ['exited', 3],
          ['exited', 0],
        ],
      );
    });
    it('reads the upper directory of overlay pods, also after gc moved them', async () => {
      const { uuid } = buildPod(the.rkt.data, {
        directory: 'exited-garbage',
        stage1TreeId: `deps-sha512-${'1'.repeat(64)}`,
        startedAt: new Date(),
        apps: [{ name: 'a', exitStatus: 7 }],
      });
      assert.equal((await the.rkt.status(uuid))['app-a'], '7');
    });
    it('--wait waits for the end', async () => {
      const { running, uuid } = await the.runForever();
      const waiting = the.rkt.start(['status', '--wait', uuid]);
      await sleep(300);
      assert.equal(waiting.isOver, false);
      await the.rkt.ok(['stop', uuid]);
      await running.ended;
      const result = expectStatus(await waiting.ended, 0);
      assert.match(result.stdout, /^state=exited$/m);
    });
    it('--wait gives up after its time', async () => {
      const { uuid } = await the.runForever();
      await the.rkt.fails(['status', '--wait=300ms', uuid], 'error waiting for pod to finish');
      assert.match((await the.rkt.ok(['status', '--wait=0', uuid])).stdout, /^state=running$/m);
      assert.match((await the.rkt.ok(['status', '--wait=false', uuid])).stdout, /^state=running$/m);
      expectStatus(await the.rkt.run(['status', '--wait=soon', uuid]), FAILURE);
    });
    it('--wait-ready waits for the supervisor', async () => {
      const ready = buildPod(the.rkt.data, { directory: 'run', startedAt: new Date(), ready: true });
      const lock = await lockPod(ready.dir);
      await the.rkt.ok(['status', '--wait-ready=5s', ready.uuid]);
      await lock.release();
      const { uuid } = await the.runForever();
      await the.rkt.fails(['status', '--wait-ready=300ms', uuid], 'error waiting for pod readiness');
      // Without a time it ends with the pod.
      const waiting = the.rkt.start(['status', '--wait-ready', uuid]);
      await the.rkt.ok(['stop', '--force', uuid]);
      expectStatus(await waiting.ended, FAILURE);
    });
  });
});
