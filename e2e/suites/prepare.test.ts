// `rkt prepare`, `run-prepared` and `cat-manifest` with a stage1 of shell scripts (contract stage0 8.3-8.5, 8.9).

import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';

import { STUB_MESSAGE } from '@rkt/testkit/stub-stage1';

import { podSuite } from '../lib/fixtures.ts';
import { tinyImage } from '../lib/images.ts';
import { requires } from '../lib/requires.ts';
import { expectStatus, FAILURE, INSECURE, UUID_PATTERN } from '../lib/rkt.ts';

podSuite('prepare', [], (the) => {
  describe('prepare', () => {
    it('prints the UUID last, with --quiet alone', async () => {
      const result = await the.rkt.ok([INSECURE, 'prepare', the.stub, the.image]);
      assert.match(result.stdout, new RegExp(`(^|\\n)${UUID_PATTERN.source}\\n$`));
      const quiet = await the.rkt.ok([INSECURE, 'prepare', '--quiet', the.stub, the.image]);
      assert.match(quiet.stdout, new RegExp(`^${UUID_PATTERN.source}\\n$`));
      assert.equal(the.rkt.podsIn('prepared').length, 2);
    });
    it('leaves the files of the contract', async () => {
      const uuid = await the.prepare();
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
      const overlay = the.rkt.podDir(await the.prepare());
      assert.ok(existsSync(`${overlay}/overlay-prepared`));
      assert.match(
        readFileSync(`${overlay}/appsinfo/tiny/treeStoreID`, 'utf8'),
        /^deps-sha512-[0-9a-f]{64}$/,
      );
      const copy = the.rkt.podDir(await the.rkt.prepare(['--no-overlay', the.stub, the.image]));
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
        the.stub,
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
        const uuid = await the.prepare(...flags);
        const manifest = JSON.parse(readFileSync(`${the.rkt.podDir(uuid)}/pod`, 'utf8')) as {
          apps: [{ app: { isolators: unknown[] } }];
        };
        assert.deepEqual(manifest.apps[0].app.isolators, [isolator]);
      });
    }
    it('stores a given pod manifest byte for byte', async () => {
      const key = await the.rkt.fetch(the.image);
      const text = `{ "acVersion":"0.8.11",\n "acKind":"PodManifest", "apps":[{"name":"given","image":{"id":"${key}"}}],"volumes":null,"isolators":null,"annotations":null,"ports":null}\n`;
      writeFileSync(the.rkt.tmp.join('pod.json'), text);
      const uuid = await the.rkt.prepare([the.stub, `--pod-manifest=${the.rkt.tmp.join('pod.json')}`]);
      assert.equal(readFileSync(`${the.rkt.podDir(uuid)}/pod`, 'utf8'), text);
      const bad = async (replace: (text: string) => string, message: string | RegExp): Promise<void> => {
        writeFileSync(the.rkt.tmp.join('bad.json'), replace(text));
        await the.rkt.fails(
          [INSECURE, '--debug', 'prepare', the.stub, `--pod-manifest=${the.rkt.tmp.join('bad.json')}`],
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
      const uuid = await the.rkt.prepare([the.stub, plain, '--exec=/bin/y', '--', 'arg']).catch(() => '');
      if (uuid !== '') {
        const manifest = JSON.parse(readFileSync(`${the.rkt.podDir(uuid)}/pod`, 'utf8')) as {
          apps: [{ app: Record<string, unknown> }];
        };
        assert.deepEqual(manifest.apps[0].app['exec'], ['/bin/y', 'arg']);
      }
    });
    it('that fails leaves an aborted prepare', async () => {
      await the.rkt.fails(
        [INSECURE, 'prepare', the.stub, the.image, the.image],
        'error: multiple apps with name tiny',
      );
      const [uuid = ''] = the.rkt.podsIn('prepare');
      assert.equal(await the.state(uuid), 'aborted prepare');
    });
    it('says with --debug what it does, without nothing', async () => {
      const loud = await the.rkt.ok([INSECURE, '--debug', 'prepare', the.stub, the.image]);
      assert.match(loud.output, /Writing pod manifest/);
      const quiet = await the.rkt.ok([INSECURE, 'prepare', the.stub, the.image]);
      assert.ok(!quiet.output.includes('Writing pod manifest') && quiet.stderr === '', quiet.output);
    });
    it('resolves images by hash as often as wanted', async () => {
      const key = await the.rkt.fetch(the.image);
      for (const argument of [key, key.slice(0, 15), 'example.com/tiny'])
        await the.rkt.prepare([the.stub, argument]);
      const { stderr } = await the.rkt.ok([INSECURE, '--debug', 'prepare', the.stub, key]);
      assert.match(stderr, /using image from the store with hash sha512-/);
    });
  });

  describe('run-prepared', () => {
    it('runs once', async () => {
      const uuid = await the.prepare();
      assert.equal((await the.rkt.ok(['run-prepared', '--net=host', uuid])).stdout, `${STUB_MESSAGE}\n`);
      await the.rkt.fails(['run-prepared', uuid], `pod "${uuid}" is not prepared`);
      assert.equal(await the.state(uuid), 'exited');
    });
    it('takes prefixes in any case', async () => {
      const uuid = await the.prepare();
      await the.rkt.ok(['run-prepared', '--net=host', uuid.slice(0, 8).toUpperCase()]);
    });
    it('is won by one of several', async () => {
      const uuid = await the.prepare();
      const results = await Promise.all(
        Array.from({ length: 4 }, () => the.rkt.run(['run-prepared', '--net=host', uuid])),
      );
      assert.deepEqual(
        results.map(({ status }) => status).sort((a, b) => a - b),
        [0, FAILURE, FAILURE, FAILURE],
      );
      assert.equal(await the.state(uuid), 'exited');
    });
    it('refuses --interactive for several apps and wrong arguments', async () => {
      const uuid = await the.rkt.prepare([the.stub, the.image, the.image, '--name=b']);
      await the.rkt.fails(
        ['run-prepared', '--interactive', uuid],
        'interactive option only supports pods with one app',
      );
      expectStatus(await the.rkt.run(['run-prepared']), FAILURE);
      expectStatus(await the.rkt.run(['run-prepared', uuid, uuid]), FAILURE);
    });
  });

  describe('cat-manifest', () => {
    it('prints compact and pretty', async () => {
      const uuid = await the.prepare();
      assert.match((await the.rkt.ok(['cat-manifest', uuid])).stdout, /^\{\n\t"acVersion": "/);
      assert.equal(
        (await the.rkt.ok(['cat-manifest', '--pretty-print=false', uuid])).stdout.trimEnd().split('\n')
          .length,
        1,
      );
    });
  });
});
