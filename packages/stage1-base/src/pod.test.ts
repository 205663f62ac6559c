import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { parseImageManifest } from '@rkt/spec/image-manifest';
import { parsePodManifest, serializePodManifest } from '@rkt/spec/pod-manifest';

import { loadPod } from './load-pod.ts';
import { loadPodQuickly, quickImageManifest, quickPodManifest } from './quick-load-pod.ts';
import { TestPod } from './testing/test-pod.ts';
import type { TestPodOptions } from './testing/test-pod.ts';

const VOLUMES = [
  { name: 'data', kind: 'host', source: '/srv', readOnly: true, recursive: false },
  { name: 'scratch', kind: 'empty', mode: '0700', uid: 1, gid: 2 },
];
const FULL_APP = {
  exec: ['/bin/srv', '--a'],
  eventHandlers: [{ name: 'pre-start', exec: ['/bin/pre'] }],
  user: '1000',
  group: 'group1',
  supplementaryGIDs: [400],
  workingDirectory: '/srv',
  environment: [{ name: 'A', value: '1' }],
  mountPoints: [{ name: 'data', path: '/data', readOnly: true }],
  ports: [{ name: 'http', protocol: 'tcp', port: 80, count: 1, socketActivated: false }],
  isolators: [{ name: 'resource/memory', value: { limit: '25Mi' } }],
  userAnnotations: { a: 'b' },
};
const PODS: Readonly<Record<string, TestPodOptions>> = {
  plain: {},
  'with an app section of its own': { runtimeApp: { app: FULL_APP, readOnlyRootFS: true } },
  'with volumes and mounts': {
    pod: { volumes: VOLUMES },
    runtimeApp: { mounts: [{ volume: 'data', path: '/x' }] },
  },
};

describe('loading a pod', () => {
  for (const [name, options] of Object.entries(PODS)) {
    it(`gives the same with and without the codecs: ${name}`, async () => {
      using pod = new TestPod(options);
      const slow = loadPod(pod.dir);
      assert.deepEqual(await loadPodQuickly(pod.dir), slow);
      const text = serializePodManifest(slow.manifest);
      assert.deepEqual(quickPodManifest(text), parsePodManifest(text));
    });
  }

  it('knows where things are', () => {
    using pod = new TestPod();
    const { apps, stage1, dir } = loadPod(pod.dir);
    assert.equal(dir, pod.dir);
    assert.equal(stage1, join(pod.dir, 'stage1/rootfs'));
    assert.equal(apps[0]?.rootfs, pod.rootfs);
    assert.equal(apps[0]?.rootfsInStage1, '/opt/stage2/web/rootfs');
    assert.deepEqual(apps[0]?.app.exec, ['/bin/srv']);
  });

  it('takes the app section of the pod manifest first', () => {
    using pod = new TestPod({ runtimeApp: { app: FULL_APP } });
    assert.deepEqual(pod.load().app.exec, FULL_APP.exec);
    assert.deepEqual(pod.load().image.app?.exec, ['/bin/srv']);
  });

  it('leaves unusual spelling to the codecs', async () => {
    using pod = new TestPod();
    const text = JSON.stringify({
      ACVersion: '2.0.0',
      acKind: 'PodManifest',
      Apps: [{ name: 'web', image: { id: `sha512-${'a'.repeat(64)}` }, unknown: 1 }],
    });
    writeFileSync(join(pod.dir, 'pod'), text);
    assert.throws(() => quickPodManifest(text));
    assert.equal((await loadPodQuickly(pod.dir)).apps[0]?.name, 'web');
  });

  it('refuses names that would lead elsewhere', () => {
    const evil = (name: string): string =>
      JSON.stringify({ acVersion: '1.0.0', acKind: 'PodManifest', apps: [{ name, image: { id: '' } }] });
    for (const name of ['../../x', '/etc', '', 'a/b', 'A'])
      assert.throws(() => quickPodManifest(evil(name)), name);
  });

  it('ignores prototypes', () => {
    const text =
      '{"__proto__":{"app":1},"acKind":"ImageManifest","acVersion":"0.8.11","name":"example.com/x"}';
    assert.throws(() => quickImageManifest(text));
    assert.equal(parseImageManifest(text).app, undefined);
  });

  for (const load of [loadPod, loadPodQuickly]) {
    describe(`refuses, as ${load.name}`, () => {
      const failure = async (
        options: TestPodOptions,
        change: (dir: string) => void = () => {},
      ): Promise<string> => {
        using pod = new TestPod(options);
        change(pod.dir);
        try {
          await load(pod.dir);
        } catch (error) {
          return (error as Error).message.replace(pod.dir, 'P');
        }
        return 'no error';
      };

      it('duplicate volumes', async () => {
        const volumes = [VOLUMES[0], VOLUMES[0]];
        assert.match(
          await failure({ pod: { volumes } }),
          /duplicate volume name "data"|^invalid pod manifest/,
        );
      });

      it('a missing image manifest', async () => {
        const message = await failure({}, (dir) => rmSync(join(dir, 'appsinfo/web/manifest')));
        assert.equal(message, 'unable to read image manifest "P/appsinfo/web/manifest"');
      });

      it('an app without an app section', async () => {
        const message = await failure({}, (dir) =>
          writeFileSync(
            join(dir, 'appsinfo/web/manifest'),
            JSON.stringify({ acKind: 'ImageManifest', acVersion: '0.8.11', name: 'example.com/web' }),
          ),
        );
        assert.match(message, /^no app section in the pod manifest or the image manifest/);
      });

      it('what is not JSON', async () => {
        const message = await failure({}, (dir) => writeFileSync(join(dir, 'pod'), '{'));
        assert.equal(message, 'invalid pod manifest "P/pod"');
      });
    });
  }
});
