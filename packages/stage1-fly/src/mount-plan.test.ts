import assert from 'node:assert/strict';

import type { LoadedApp, LoadedPod } from '@rkt/stage1-base/pod';
import type { RootMount } from '@rkt/stage1-base/root-mounts';

import { planMounts } from './mount-plan.ts';

interface Parts {
  readonly volumes?: readonly object[];
  readonly mounts?: readonly object[];
  readonly mountPoints?: readonly object[];
}

const MODES = { resolvMode: 'default', hostsMode: 'default' } as const;

function plan(
  { volumes = [], mounts = [], mountPoints = [] }: Parts,
  modes: Parameters<typeof planMounts>[2] = MODES,
) {
  const app = { runtimeApp: { mounts }, app: { mountPoints } } as unknown as LoadedApp;
  const pod = { manifest: { volumes }, stage1: '/pod/stage1/rootfs', apps: [app] } as unknown as LoadedPod;
  return planMounts(pod, app, modes).slice(4);
}

const host = (name: string, more: object = {}): object => ({
  name,
  kind: 'host',
  source: `/srv/${name}`,
  ...more,
});
const targets = (mounts: readonly RootMount[]): string[] => mounts.map(({ target }) => target);

describe("fly's mounts", () => {
  it("start with the host's devices, processes and system, and a /tmp of their own", () => {
    const app = { runtimeApp: {}, app: {} } as LoadedApp;
    const pod = { manifest: {}, stage1: '/s', apps: [app] } as unknown as LoadedPod;
    const own = { recursive: true, readOnly: false };
    assert.deepEqual(planMounts(pod, app, MODES), [
      { kind: 'bind', source: '/dev', target: '/dev', ...own },
      { kind: 'bind', source: '/proc', target: '/proc', ...own },
      { kind: 'bind', source: '/sys', target: '/sys', ...own },
      { kind: 'tmpfs', target: '/tmp' },
    ]);
  });

  it('join mounts, mount points and volumes by volume name', () => {
    const found = plan({
      volumes: [host('a'), host('b', { readOnly: false, recursive: true }), host('unused')],
      mounts: [{ volume: 'a', path: '/x' }],
      mountPoints: [{ name: 'b', path: '/y/z', readOnly: true }],
    });
    assert.deepEqual(found, [
      { kind: 'bind', source: '/srv/a', target: '/x', recursive: false, readOnly: false },
      { kind: 'bind', source: '/srv/b', target: '/y/z', recursive: true, readOnly: false },
    ]);
  });

  it('are read-only as the volume says, else as the mount point says', () => {
    const readOnly = (volume: object, mountPoint: object): unknown => {
      const [mount] = plan({
        volumes: [host('a', volume)],
        mountPoints: [{ name: 'a', path: '/x', ...mountPoint }],
      });
      return mount?.kind === 'bind' && mount.readOnly;
    };
    assert.equal(readOnly({}, {}), false);
    assert.equal(readOnly({}, { readOnly: true }), true);
    assert.equal(readOnly({ readOnly: true }, {}), true);
    assert.equal(readOnly({ readOnly: false }, { readOnly: true }), false);
  });

  it('make parents before what lies below them', () => {
    const volumes = [host('a'), host('b'), host('c')];
    const mounts = [
      { volume: 'a', path: '/x/y/z' },
      { volume: 'b', path: '/x/' },
      { volume: 'c', path: '/x/./y' },
    ];
    assert.deepEqual(targets(plan({ volumes, mounts })), ['/x/', '/x/./y', '/x/y/z']);
  });

  it("prefer a mount's own volume to the pod's", () => {
    const appVolume = host('a', { source: '/own' });
    const [mount] = plan({ volumes: [host('a')], mounts: [{ volume: 'a', path: '/x', appVolume }] });
    assert.equal(mount?.kind === 'bind' && mount.source, '/own');
  });

  it('refuse what cannot be', () => {
    const cases: [Parts, string][] = [
      [
        {
          volumes: [host('a')],
          mounts: [
            { volume: 'a', path: '/x' },
            { volume: 'a', path: '/y' },
          ],
        },
        'duplicate mount given: "a"',
      ],
      [
        {
          volumes: [host('a')],
          mounts: [{ volume: 'a', path: '/x' }],
          mountPoints: [{ name: 'a', path: '/y' }],
        },
        'conflicting path information from mount and mountpoint "a"',
      ],
      [{ mountPoints: [{ name: 'a', path: '/x' }] }, 'missing volume for mountpoint "a"'],
      [{ mounts: [{ volume: 'a', path: '/x' }] }, 'could not find volume "a"'],
      [
        { volumes: [{ name: 'a', kind: 'empty' }], mounts: [{ volume: 'a', path: '/x' }] },
        'volume "a" is of kind "empty", fly supports only "host"',
      ],
    ];
    for (const [parts, message] of cases) assert.throws(() => plan(parts), { code: 'bad-volume', message });
  });

  it('bring the files that name hosts last, over volumes', () => {
    const sources = (mounts: readonly RootMount[]): string[] =>
      mounts.map((mount) => (mount.kind === 'bind' ? `${mount.source} ${mount.target}` : mount.target));
    assert.deepEqual(sources(plan({}, { resolvMode: 'host', hostsMode: 'host' })), [
      '/etc/resolv.conf /etc/resolv.conf',
      '/etc/hosts /etc/hosts',
    ]);
    const stage0 = plan(
      { volumes: [host('etc')], mounts: [{ volume: 'etc', path: '/etc' }] },
      { resolvMode: 'stage0', hostsMode: 'stage0' },
    );
    assert.deepEqual(sources(stage0), [
      '/srv/etc /etc',
      '/pod/stage1/rootfs/etc/rkt-resolv.conf /etc/resolv.conf',
      '/pod/stage1/rootfs/etc/rkt-hosts /etc/hosts',
    ]);
    assert.deepEqual(plan({}, { resolvMode: 'none', hostsMode: 'default' }), []);
  });
});
