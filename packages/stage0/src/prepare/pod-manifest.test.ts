// The generated pod manifest: precedence, isolators, mounts and ports (contract stage0 8.4, 8.5, 11.5-11.8).

import assert from 'node:assert/strict';

import type { ImageManifest } from '@rkt/spec/image-manifest';

import type { AppRequest } from '../cli/requests.ts';
import { defaultAppName, type PodOverrides, runtimeApp } from './app-overrides.ts';
import { inheritableEnvironment, mergeEnvironment } from './env.ts';

const KEY = `sha512-${'0c'.repeat(32)}`;
const NO_OVERRIDES: PodOverrides = {
  environment: { inherited: {}, setEnv: [], setEnvFile: [] },
  mounts: [],
  callerUid: 7,
  callerGid: 8,
};
const REQUEST: AppRequest = {
  image: 'img.aci',
  args: [],
  mounts: [],
  annotations: {},
  userAnnotations: {},
  userLabels: {},
  environment: {},
};

function image(app?: ImageManifest['app']): ImageManifest {
  return {
    acKind: 'ImageManifest',
    acVersion: '0.8.11',
    name: 'example.com/Web_1',
    labels: [{ name: 'version', value: '1.0' }],
    ...(app !== undefined && { app }),
  } as ImageManifest;
}

describe('runtimeApp', () => {
  it('is the example of the contract (11.5)', () => {
    const app = runtimeApp(
      {
        ...REQUEST,
        args: ['--port', '80'],
        name: 'web',
        memory: '64Mi',
        capsRetain: ['CAP_CHOWN', 'CAP_KILL'],
        userLabels: { tier: 'front' },
      },
      KEY,
      image({ exec: ['/bin/web'], user: '0', group: '0', environment: [{ name: 'B', value: '2' }] }),
      {
        ...NO_OVERRIDES,
        environment: { inherited: {}, setEnvFile: [], setEnv: [{ name: 'A', value: '1' }] },
        mounts: [{ volume: 'data', path: '/data' }],
      },
    );
    assert.deepEqual(app, {
      name: 'web',
      image: { name: 'example.com/Web_1', id: KEY, labels: [{ name: 'version', value: '1.0' }] },
      app: {
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
      },
      mounts: [{ volume: 'data', path: '/data' }],
    });
  });

  it('makes an app of an image without one, when told what to execute', () => {
    const { app } = runtimeApp({ ...REQUEST, exec: '/x', args: ['y'] }, KEY, image(), NO_OVERRIDES);
    assert.deepEqual(app, { exec: ['/x', 'y'], user: '7', group: '8' });
    assert.throws(() => runtimeApp(REQUEST, KEY, image(), NO_OVERRIDES), {
      message: `error: image ${KEY} has no app section and --exec argument is not provided`,
    });
  });

  it('replaces sets and scalars, and appends limits', () => {
    const isolators = [
      { name: 'os/linux/capabilities-remove-set', value: { set: ['CAP_MKNOD'] } },
      { name: 'os/linux/seccomp-remove-set', value: { set: ['reboot'], errno: '' } },
      { name: 'os/linux/cpu-shares', value: 2 },
      { name: 'resource/cpu', value: { default: false, limit: '1' } },
    ];
    const { app } = runtimeApp(
      {
        ...REQUEST,
        cpu: '1500m',
        cpuShares: 2048,
        oomScoreAdj: -50,
        capsRemove: ['CAP_KILL'],
        seccomp: { mode: 'retain', set: ['chmod', 'chown'], errno: 'EPERM' },
      },
      KEY,
      image({ exec: ['/x'], user: '0', group: '0', isolators } as ImageManifest['app']),
      NO_OVERRIDES,
    );
    assert.deepEqual(app?.isolators, [
      { name: 'resource/cpu', value: { default: false, limit: '1' } },
      { name: 'resource/cpu', value: { default: false, request: '1500m', limit: '1500m' } },
      { name: 'os/linux/cpu-shares', value: 2048 },
      { name: 'os/linux/oom-score-adj', value: -50 },
      { name: 'os/linux/capabilities-remove-set', value: { set: ['CAP_KILL'] } },
      { name: 'os/linux/seccomp-retain-set', value: { set: ['chmod', 'chown'], errno: 'EPERM' } },
    ]);
    assert.throws(
      () =>
        runtimeApp(
          { ...REQUEST, exec: '/x', capsRetain: ['A'], capsRemove: ['B'] },
          KEY,
          image(),
          NO_OVERRIDES,
        ),
      { message: 'error: cannot use both --caps-retain and --caps-remove on the same image' },
    );
  });

  it('lets the first of two mounts at one place win, the own ones before the global ones', () => {
    const own = [
      { volume: 'a', path: '/mnt' },
      { volume: 'b', path: '/mnt/../mnt/' },
    ];
    const { mounts } = runtimeApp({ ...REQUEST, exec: '/x', mounts: own }, KEY, image(), {
      ...NO_OVERRIDES,
      mounts: [
        { volume: 'c', path: '/mnt' },
        { volume: 'd', path: '/other' },
      ],
    });
    assert.deepEqual(
      mounts?.map(({ volume }) => volume),
      ['a', 'd'],
    );
  });

  it('names an app after the last component of its image', () => {
    assert.equal(defaultAppName('example.com/Web_1'), 'web-1');
    assert.equal(defaultAppName('busybox'), 'busybox');
  });
});

describe('mergeEnvironment', () => {
  it('keeps places and precedence: set-env, set-env-file, app, image, inherited', () => {
    const merged = mergeEnvironment({
      image: [
        { name: 'A', value: 'image' },
        { name: 'B', value: 'image' },
        { name: 'C', value: 'image' },
      ],
      inherited: { A: 'inherited', Z: 'inherited' },
      app: { B: 'app', C: 'app' },
      setEnvFile: [{ name: 'C', value: 'file' }],
      setEnv: [
        { name: 'C', value: 'set' },
        { name: 'N', value: 'set' },
      ],
    });
    assert.deepEqual(
      merged.map(({ name, value }) => `${name}=${value}`),
      ['A=image', 'B=app', 'C=set', 'Z=inherited', 'N=set'],
    );
  });
  it('inherits only what may be a name', () => {
    assert.deepEqual(inheritableEnvironment({ OK_1: '1', 'BASH_FUNC_x%%': '()' }), { OK_1: '1' });
  });
});
