import assert from 'node:assert/strict';
import { chownSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

import { errorChain } from '@rkt/diagnostics/rkt-error';

import { TestPod } from './testing/test-pod.ts';
import type { TestPodOptions } from './testing/test-pod.ts';
import { resolveCredentials } from './user.ts';
import type { Credentials } from './user.ts';

const DATABASES = {
  'etc/passwd': { text: 'user1:x:1000:100::/:\nmax:x:4294967294:1::/:' },
  'etc/group': { text: 'group1:x:100:user1' },
};

function resolve(user: string, group: string, more: TestPodOptions = {}): Credentials {
  using pod = new TestPod({ files: DATABASES, ...more, app: { user, group, ...more.app } });
  return resolveCredentials(pod.load());
}

function innermost(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    return errorChain(error).at(-1)?.message ?? '';
  }
  return 'no error';
}

describe('user and group of an app', () => {
  it('are root without any database', () => {
    assert.deepEqual(resolve('root', 'root', { files: {} }), { uid: 0, gid: 0, supplementaryGids: [] });
  });

  it('are numbers as they are', () => {
    assert.deepEqual(resolve('4242', '0', { app: { supplementaryGIDs: [400, 500] } }), {
      uid: 4242,
      gid: 0,
      supplementaryGids: [400, 500],
    });
  });

  it('are looked up by name in the root, without the primary group', () => {
    assert.deepEqual(resolve('user1', 'group1'), { uid: 1000, gid: 100, supplementaryGids: [] });
    assert.equal(resolve('user1', '0').gid, 0);
  });

  it('are unknown: the message ends as scripts expect', () => {
    assert.equal(
      innermost(() => resolve('nobody2', '0')),
      '"nobody2" user not found',
    );
    assert.equal(
      innermost(() => resolve('0', 'nogroup2')),
      '"nogroup2" group not found',
    );
    assert.equal(
      innermost(() => resolve('root2', 'root', { files: {} })),
      '"root2" user not found',
    );
  });

  it('are never -1, which means "as it is" to the kernel', () => {
    for (const id of ['-1', '4294967295', '99999999999']) {
      assert.equal(
        innermost(() => resolve(id, '0')),
        'Invalid uid or gid',
      );
    }
  });

  it('are those of the owner of a path, which is not followed at its end', function () {
    if (process.getuid?.() !== 0) this.skip();
    using pod = new TestPod({
      app: { user: '/srv/data', group: '/up/data' },
      files: { 'srv/data': { text: '' } },
    });
    symlinkSync('/../srv', join(pod.rootfs, 'up'));
    chownSync(join(pod.rootfs, 'srv/data'), 70, 80);
    assert.deepEqual(resolveCredentials(pod.load()), { uid: 70, gid: 80, supplementaryGids: [] });
    assert.deepEqual(resolveCredentials(pod.load(), { shift: 70, count: 65536 }).uid, 0);
  });

  it('are those of a path that is missing', () => {
    assert.match(
      innermost(() => resolve('/no/such', '0')),
      /"\/no\/such": no such file or directory$/,
    );
  });

  describe('of an image from docker', () => {
    const annotations = [{ name: 'appc.io/docker/repository', value: 'x' }];

    it('may share a name that is no group', () => {
      assert.equal(resolve('user1', 'user1', { image: { annotations } }).gid, 1000);
    });

    it('may not when the group was chosen at run time', () => {
      const runtimeApp = { app: { exec: ['/x'], user: 'user1', group: 'other' } };
      assert.equal(
        innermost(() => resolve('user1', 'user1', { image: { annotations }, runtimeApp })),
        '"other" group not found',
      );
    });

    it('may not without the annotation', () => {
      assert.equal(
        innermost(() => resolve('user1', 'user1')),
        '"user1" group not found',
      );
    });
  });
});
