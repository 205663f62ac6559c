// prepare, run-prepared, list, status, cat-manifest, stop, rm, gc: the life of a pod as stage0 sees it, with a stage1
// of shell scripts (contract stage0 8).

import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';

import { buildPod, lockPod } from '@rkt/testkit/pod-builder';
import { STUB_MESSAGE, STUB_RUN_FOREVER, STUB_STOP } from '@rkt/testkit/stub-stage1';

import { stubFlag, tinyImage } from '../lib/images.ts';
import { eventually, sleep } from '../lib/process.ts';
import { requires } from '../lib/requires.ts';
import { expectStatus, FAILURE, INSECURE, UUID_PATTERN } from '../lib/rkt.ts';
import type { Running } from '../lib/process.ts';
import { suite } from '../lib/suite.ts';

interface PodJson {
  readonly name: string;
  readonly state: string;
  readonly networks?: readonly { readonly netName: string; readonly ip: string }[];
  readonly app_names?: readonly string[];
  readonly apps?: readonly {
    readonly name: string;
    readonly state: string;
    readonly exit_code?: number;
    readonly image_id: string;
  }[];
  readonly created_at?: number;
  readonly started_at?: number;
}

const TIME = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,3})? [+-]\d{4} [A-Z]+$/;

suite('pods', ['root'], (the) => {
  let stub = '';
  let forever = '';
  let image = '';
  before(() => {
    stub = stubFlag(the.rkt);
    forever = stubFlag(the.rkt, { run: STUB_RUN_FOREVER, stop: STUB_STOP });
    image = tinyImage(the.rkt, { exec: ['/bin/x'] });
  });

  const prepare = (...flags: readonly string[]): Promise<string> => the.rkt.prepare([stub, image, ...flags]);
  const runForever = async (): Promise<{ running: Running; uuid: string }> => {
    const running = the.rkt.start([
      INSECURE,
      'run',
      forever,
      '--net=host',
      `--uuid-file-save=${the.rkt.tmp.join('uuid')}`,
      image,
    ]);
    await running.waitFor('stub: running');
    return { running, uuid: readFileSync(the.rkt.tmp.join('uuid'), 'utf8') };
  };
  const state = async (uuid: string): Promise<string> => (await the.rkt.status(uuid))['state'] ?? '';
  const listed = async (...flags: readonly string[]): Promise<PodJson[]> =>
    (JSON.parse((await the.rkt.ok(['list', '--format=json', ...flags])).stdout) as PodJson[] | null) ?? [];

  describe('prepare', () => {
    it('prints the UUID last, with --quiet alone', async () => {
      const result = await the.rkt.ok([INSECURE, 'prepare', stub, image]);
      assert.match(result.stdout, new RegExp(`(^|\\n)${UUID_PATTERN.source}\\n$`));
      const quiet = await the.rkt.ok([INSECURE, 'prepare', '--quiet', stub, image]);
      assert.match(quiet.stdout, new RegExp(`^${UUID_PATTERN.source}\\n$`));
      assert.equal(the.rkt.podsIn('prepared').length, 2);
    });
    it('leaves the files of the contract', async () => {
      const uuid = await prepare();
      const pod = the.rkt.podDir(uuid);
      const mode = (name: string): string => (statSync(`${pod}/${name}`).mode & 0o777).toString(8);
      const app = 'tiny';
      assert.deepEqual(
        [
          '.',
          'pod',
          'pod.lck',
          'pod-created',
          'stage1',
          'stage1/manifest',
          'stage1TreeStoreID',
          'appsinfo',
          `appsinfo/${app}/manifest`,
        ].map(mode),
        ['750', '640', '600', '640', '750', '640', '640', '750', '640'],
      );
      assert.match(readFileSync(`${pod}/stage1TreeStoreID`, 'utf8'), /^deps-sha512-[0-9a-f]{64}$/);
      assert.equal(readFileSync(`${pod}/pod-created`, 'utf8'), '');
      assert.ok(!readFileSync(`${pod}/pod`, 'utf8').includes('\n'));
    });
    it('marks overlay pods, and copies without overlay', async function () {
      requires(this, 'overlayfs');
      const overlay = the.rkt.podDir(await prepare());
      assert.ok(existsSync(`${overlay}/overlay-prepared`));
      assert.match(
        readFileSync(`${overlay}/appsinfo/tiny/treeStoreID`, 'utf8'),
        /^deps-sha512-[0-9a-f]{64}$/,
      );
      const copy = the.rkt.podDir(await the.rkt.prepare(['--no-overlay', stub, image]));
      assert.equal(existsSync(`${copy}/overlay-prepared`), false);
      assert.equal(readFileSync(`${copy}/stage1/rootfs/opt/stage2/tiny/rootfs/file`, 'utf8'), 'tiny');
      assert.ok(existsSync(`${copy}/stage1/rootfs/opt/stage2/tiny/manifest`));
      assert.ok(existsSync(`${copy}/stage1/rootfs/run`));
    });
    it("writes the manifest of the contract's example", async () => {
      const web = tinyImage(the.rkt, {
        name: 'example.com/web',
        version: '1.0',
        exec: ['/bin/web'],
        app: { environment: [{ name: 'B', value: '2' }], workingDirectory: undefined },
      });
      const key = await the.rkt.fetch(web);
      const uuid = await the.rkt.prepare([
        stub,
        '--volume',
        'data,kind=host,source=/srv,readOnly=true',
        '--mount',
        'volume=data,target=/data',
        '--set-env=A=1',
        web,
        '--name=web',
        '--memory=64Mi',
        '--caps-retain=CAP_CHOWN,CAP_KILL',
        '--user-label=tier=front',
        '--',
        '--port',
        '80',
      ]);
      const { stdout } = await the.rkt.ok(['cat-manifest', '--pretty-print=false', uuid]);
      const manifest = JSON.parse(stdout) as Record<string, unknown> & {
        apps: { image: { labels: unknown[] } }[];
      };
      assert.deepEqual(Object.keys(manifest), [
        'acVersion',
        'acKind',
        'apps',
        'volumes',
        'isolators',
        'annotations',
        'ports',
      ]);
      const app = manifest.apps[0] as unknown as Record<string, unknown> & { image: Record<string, unknown> };
      assert.equal(app.image['id'], key);
      assert.equal(app.image['name'], 'example.com/web');
      assert.deepEqual(app['app'], {
        exec: ['/bin/web', '--port', '80'],
        user: '0',
        group: '0',
        environment: [
          { name: 'B', value: '2' },
          { name: 'A', value: '1' },
        ],
        isolators: [
          { name: 'resource/memory', value: { default: false, request: '64Mi', limit: '64Mi' } },
          { name: 'os/linux/capabilities-retain-set', value: { set: ['CAP_CHOWN', 'CAP_KILL'] } },
        ],
        userLabels: { tier: 'front' },
      });
      assert.deepEqual(app['mounts'], [{ volume: 'data', path: '/data' }]);
      assert.deepEqual(manifest['volumes'], [{ name: 'data', kind: 'host', source: '/srv', readOnly: true }]);
      assert.equal(manifest['isolators'], null);
      assert.deepEqual(manifest['annotations'], [{ name: 'coreos.com/rkt/stage1/mutable', value: 'false' }]);
      assert.deepEqual(manifest['ports'], []);
      assert.equal(readFileSync(`${the.rkt.podDir(uuid)}/pod`, 'utf8').trimEnd(), stdout.trimEnd());
    });
    for (const [flags, isolator] of [
      [
        ['--memory=16M'],
        { name: 'resource/memory', value: { default: false, request: '16M', limit: '16M' } },
      ],
      [['--cpu=1.5'], { name: 'resource/cpu', value: { default: false, request: '1500m', limit: '1500m' } }],
      [['--cpu-shares=2048'], { name: 'os/linux/cpu-shares', value: 2048 }],
      [['--oom-score-adj=-50'], { name: 'os/linux/oom-score-adj', value: -50 }],
      [
        ['--caps-remove=CAP_MKNOD'],
        { name: 'os/linux/capabilities-remove-set', value: { set: ['CAP_MKNOD'] } },
      ],
      [
        ['--seccomp=mode=retain,errno=EPERM,chmod,chown'],
        { name: 'os/linux/seccomp-retain-set', value: { set: ['chmod', 'chown'], errno: 'EPERM' } },
      ],
      [
        ['--seccomp=mode=remove,reboot'],
        { name: 'os/linux/seccomp-remove-set', value: { set: ['reboot'], errno: '' } },
      ],
    ] as const) {
      it(`records ${flags[0]}`, async () => {
        const uuid = await prepare(...flags);
        const manifest = JSON.parse(readFileSync(`${the.rkt.podDir(uuid)}/pod`, 'utf8')) as {
          apps: [{ app: { isolators: unknown[] } }];
        };
        assert.deepEqual(manifest.apps[0].app.isolators, [isolator]);
      });
    }
    it('stores a given pod manifest byte for byte', async () => {
      const key = await the.rkt.fetch(image);
      const text = `{ "acVersion":"0.8.11",\n "acKind":"PodManifest", "apps":[{"name":"given","image":{"id":"${key}"}}],"volumes":null,"isolators":null,"annotations":null,"ports":null}\n`;
      writeFileSync(the.rkt.tmp.join('pod.json'), text);
      const uuid = await the.rkt.prepare([stub, `--pod-manifest=${the.rkt.tmp.join('pod.json')}`]);
      assert.equal(readFileSync(`${the.rkt.podDir(uuid)}/pod`, 'utf8'), text);
      const bad = async (replace: (text: string) => string, message: string | RegExp): Promise<void> => {
        writeFileSync(the.rkt.tmp.join('bad.json'), replace(text));
        await the.rkt.fails(
          [INSECURE, '--debug', 'prepare', stub, `--pod-manifest=${the.rkt.tmp.join('bad.json')}`],
          message,
        );
      };
      await bad((each) => each.replace(`"id":"${key}"`, ''), /image ID|error unmarshaling pod manifest/);
      await bad(
        (each) => each.replace(key, `sha512-${'0'.repeat(64)}`),
        'error getting the image manifest from store',
      );
      await bad((each) => each.slice(0, 20), 'error unmarshaling pod manifest');
      await bad((each) => each.replace('PodManifest', 'ImageManifest'), 'error unmarshaling pod manifest');
    });
    it('of an image without an app needs --exec', async () => {
      const plain = tinyImage(the.rkt, { name: 'example.com/plain' });
      await the.rkt.fetch(plain);
      const uuid = await the.rkt.prepare([stub, plain, '--exec=/bin/y', '--', 'arg']).catch(() => '');
      if (uuid !== '') {
        const manifest = JSON.parse(readFileSync(`${the.rkt.podDir(uuid)}/pod`, 'utf8')) as {
          apps: [{ app: Record<string, unknown> }];
        };
        assert.deepEqual(manifest.apps[0].app['exec'], ['/bin/y', 'arg']);
      }
    });
    it('that fails leaves an aborted prepare', async () => {
      await the.rkt.fails([INSECURE, 'prepare', stub, image, image], 'error: multiple apps with name tiny');
      const [uuid = ''] = the.rkt.podsIn('prepare');
      assert.equal(await state(uuid), 'aborted prepare');
    });
    it('says with --debug what it does, without nothing', async () => {
      const loud = await the.rkt.ok([INSECURE, '--debug', 'prepare', stub, image]);
      assert.match(loud.output, /Writing pod manifest/);
      const quiet = await the.rkt.ok([INSECURE, 'prepare', stub, image]);
      assert.ok(!quiet.output.includes('Writing pod manifest') && quiet.stderr === '', quiet.output);
    });
    it('resolves images by hash as often as wanted', async () => {
      const key = await the.rkt.fetch(image);
      for (const argument of [key, key.slice(0, 15), 'example.com/tiny'])
        await the.rkt.prepare([stub, argument]);
      const { stderr } = await the.rkt.ok([INSECURE, '--debug', 'prepare', stub, key]);
      assert.match(stderr, /using image from the store with hash sha512-/);
    });
  });

  describe('run-prepared', () => {
    it('runs once', async () => {
      const uuid = await prepare();
      assert.equal((await the.rkt.ok(['run-prepared', '--net=host', uuid])).stdout, `${STUB_MESSAGE}\n`);
      await the.rkt.fails(['run-prepared', uuid], `pod "${uuid}" is not prepared`);
      assert.equal(await state(uuid), 'exited');
    });
    it('takes prefixes in any case', async () => {
      const uuid = await prepare();
      await the.rkt.ok(['run-prepared', '--net=host', uuid.slice(0, 8).toUpperCase()]);
    });
    it('is won by one of several', async () => {
      const uuid = await prepare();
      const results = await Promise.all(
        Array.from({ length: 4 }, () => the.rkt.run(['run-prepared', '--net=host', uuid])),
      );
      assert.deepEqual(
        results.map(({ status }) => status).sort((a, b) => a - b),
        [0, FAILURE, FAILURE, FAILURE],
      );
      assert.equal(await state(uuid), 'exited');
    });
    it('refuses --interactive for several apps and wrong arguments', async () => {
      const uuid = await the.rkt.prepare([stub, image, image, '--name=b']);
      await the.rkt.fails(
        ['run-prepared', '--interactive', uuid],
        'interactive option only supports pods with one app',
      );
      expectStatus(await the.rkt.run(['run-prepared']), FAILURE);
      expectStatus(await the.rkt.run(['run-prepared', uuid, uuid]), FAILURE);
    });
  });

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
      const uuid = await prepare();
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
        assert.equal(await state(uuid), name);
      }
      const short = (await the.rkt.ok(['list', '--no-legend'])).stdout;
      assert.match(short, /\t5 minutes ago\t+3 minutes ago/);
      assert.match(short, /^\t+b\t/m);
      assert.match(short, /^[0-9a-f]{8}\t-\t/m);
      for (const lock of locks) await lock.release();
    });
    it('prints times and image ids in full', async () => {
      const uuid = await prepare();
      await the.rkt.ok(['run-prepared', '--net=host', uuid]);
      const line = (await the.rkt.ok(['list', '--full', '--no-legend'])).stdout.split('\n')[0] ?? '';
      const [first, app, name, id, podState, created, started] = line.split(/\t+/);
      assert.deepEqual([first, app, name, podState], [uuid, 'tiny', 'example.com/tiny:1.0.0', 'exited']);
      assert.match(id ?? '', /^sha512-[0-9a-f]{12}$/);
      for (const time of [created, started]) {
        assert.match(time ?? '', TIME);
        assert.ok(Math.abs(Date.parse((time ?? '').replace(/ [A-Z]+$/, '')) - Date.now()) < 60_000, time);
      }
    });
    it('survives the removal of the image', async () => {
      const own = tinyImage(the.rkt, { name: 'example.com/own', exec: ['/x'] });
      const key = await the.rkt.fetch(own);
      await the.rkt.prepare([stub, own]);
      await the.rkt.ok(['image', 'rm', key]);
      assert.match((await the.rkt.ok(['list', '--no-legend'])).stdout, /example\.com\/own:1\.0\.0/);
    });
    it('prints JSON', async () => {
      const uuid = await prepare();
      const pods = await listed();
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
      assert.equal((await listed())[0]?.networks?.[0]?.ip, '172.16.28.2');
    });
    it('tells of broken pods and goes on', async () => {
      const broken = buildPod(the.rkt.data, { directory: 'prepared', manifest: '{"acKind"' });
      const uuid = await prepare();
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
      const uuid = await prepare();
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
      const { running, uuid } = await runForever();
      const waiting = the.rkt.start(['status', '--wait', uuid]);
      await sleep(300);
      assert.equal(waiting.isOver, false);
      await the.rkt.ok(['stop', uuid]);
      await running.ended;
      const result = expectStatus(await waiting.ended, 0);
      assert.match(result.stdout, /^state=exited$/m);
    });
    it('--wait gives up after its time', async () => {
      const { uuid } = await runForever();
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
      const { uuid } = await runForever();
      await the.rkt.fails(['status', '--wait-ready=300ms', uuid], 'error waiting for pod readiness');
    });
  });

  describe('cat-manifest', () => {
    it('prints compact and pretty', async () => {
      const uuid = await prepare();
      assert.match((await the.rkt.ok(['cat-manifest', uuid])).stdout, /^\{\n\t"acVersion": "/);
      assert.equal(
        (await the.rkt.ok(['cat-manifest', '--pretty-print=false', uuid])).stdout.trimEnd().split('\n')
          .length,
        1,
      );
    });
  });

  describe('stop', () => {
    it('ends a running pod, and says so once', async () => {
      const { running, uuid } = await runForever();
      assert.equal(await state(uuid), 'running');
      assert.equal((await the.rkt.ok(['stop', uuid])).stdout, `"${uuid}"\n`);
      await running.ended;
      await eventually('the pod is exited', () => the.rkt.podsIn('run').length === 1);
      assert.equal(await state(uuid), 'exited');
      assert.equal((await the.rkt.ok(['stop', uuid])).stdout, `pod "${uuid}" is already stopped\n`);
    });
    it('--force kills', async () => {
      const { running, uuid } = await runForever();
      await the.rkt.ok(['stop', '--force', uuid]);
      assert.equal((await running.ended).status, 137);
    });
    it('takes running pods only, and goes on behind others', async () => {
      const { running, uuid } = await runForever();
      const prepared = await prepare();
      const result = await the.rkt.fails(['stop', prepared, 'ffff0000', uuid], 'failed to stop 2 pod(s)');
      assert.ok(result.output.includes(`pod "${prepared}" is not running`));
      await running.ended;
    });
    it('tells when stage1 cannot', async () => {
      const helpless = stubFlag(the.rkt, { run: STUB_RUN_FOREVER });
      const running = the.rkt.start([INSECURE, 'run', helpless, '--net=host', image]);
      await running.waitFor('stub: running');
      const [uuid = ''] = the.rkt.podsIn('run');
      await the.rkt.fails(['stop', uuid], "rkt stop not implemented for pod's stage1");
      running.kill('SIGKILL');
      await running.ended;
    });
  });

  describe('rm', () => {
    it('removes what does not run', async () => {
      const prepared = await prepare();
      const exited = await prepare();
      await the.rkt.ok(['run-prepared', '--net=host', exited]);
      const aborted = buildPod(the.rkt.data, { directory: 'prepare', manifest: null }).uuid;
      const result = await the.rkt.ok(['rm', prepared, exited, aborted]);
      for (const uuid of [prepared, exited, aborted]) assert.ok(result.stdout.includes(`"${uuid}"\n`));
      assert.deepEqual(await listed(), []);
    });
    it('leaves what runs, is prepared or is unknown, and removes the rest', async () => {
      const { uuid } = await runForever();
      const preparing = buildPod(the.rkt.data, { directory: 'prepare', manifest: null });
      const lock = await lockPod(preparing.dir);
      const prepared = await prepare();
      const result = await the.rkt.fails(
        ['rm', uuid, preparing.uuid, 'ffff0000', prepared],
        'failed to remove one or more pods',
      );
      assert.ok(result.stderr.includes(`pod "${uuid}" is currently running`));
      assert.ok(result.stderr.includes(`pod "${preparing.uuid}" is currently being prepared`));
      assert.ok(result.stdout.includes(`"${prepared}"`));
      assert.equal(await state(uuid), 'running');
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
      const uuid = await prepare();
      await the.rkt.ok(['run-prepared', '--net=host', uuid]);
      const first = await the.rkt.ok(['gc']);
      assert.ok(first.stderr.includes(`moving pod "${uuid}" to garbage`));
      assert.ok(
        first.stderr.includes(`pod "${uuid}" not removed: still within grace period (30m`),
        first.stderr,
      );
      assert.deepEqual(the.rkt.podsIn('exited-garbage'), [uuid]);
      assert.equal(await state(uuid), 'exited garbage');
      const second = await the.rkt.ok(['gc', '--grace-period=0']);
      assert.ok(second.stdout.includes(`Garbage collecting pod "${uuid}"`));
      assert.deepEqual(the.rkt.podsIn('exited-garbage'), []);
    });
    it('--mark-only deletes nothing', async () => {
      const uuid = await prepare();
      await the.rkt.ok(['run-prepared', '--net=host', uuid]);
      const aborted = buildPod(the.rkt.data, { directory: 'prepare', manifest: null });
      const prepared = await prepare();
      const { stderr } = await the.rkt.ok(['gc', '--mark-only', '--grace-period=0', '--expire-prepared=0']);
      assert.ok(stderr.includes(`moving failed prepare "${aborted.uuid}" to garbage`));
      assert.deepEqual(
        [the.rkt.podsIn('exited-garbage'), the.rkt.podsIn('garbage'), the.rkt.podsIn('prepared')],
        [[uuid], [aborted.uuid], [prepared]],
      );
    });
    it('expires prepared pods', async () => {
      const uuid = await prepare();
      await the.rkt.ok(['gc']);
      assert.deepEqual(the.rkt.podsIn('prepared'), [uuid]);
      const { stderr, stdout } = await the.rkt.ok(['gc', '--expire-prepared=0']);
      assert.ok(stderr.includes(`moving expired prepared pod "${uuid}" to garbage`));
      assert.ok(stdout.includes(`Garbage collecting pod "${uuid}"`));
    });
    it('leaves running and preparing pods alone', async () => {
      const { uuid } = await runForever();
      const preparing = buildPod(the.rkt.data, { directory: 'prepare', manifest: null });
      const lock = await lockPod(preparing.dir);
      await the.rkt.ok(['gc', '--grace-period=0', '--expire-prepared=0']);
      assert.deepEqual([the.rkt.podsIn('run'), the.rkt.podsIn('prepare')], [[uuid], [preparing.uuid]]);
      await lock.release();
    });
    it("deletes although stage1's gc fails or is missing", async () => {
      for (const options of [{ gc: 'echo broken >&2; exit 7' }, { without: ['gc'] }] as const) {
        const flag = stubFlag(the.rkt, options);
        const uuid = await the.rkt.prepare([flag, image]);
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
      const uuid = await the.rkt.prepare([flag, image]);
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
