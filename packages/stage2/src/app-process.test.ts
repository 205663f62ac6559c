import assert from 'node:assert/strict';

import { checkAppProcess, parseAppProcess } from './app-process.ts';
import type { AppProcess } from './app-process.ts';

const APP: AppProcess = {
  root: '/srv/root',
  workingDirectory: '/',
  executable: '/bin/srv',
  argv: ['srv', '--x'],
  environment: [{ name: 'A', value: '1' }],
  uid: 1000,
  gid: 100,
  supplementaryGids: [400],
};

describe('process description', () => {
  it('is read back as it was written', () => {
    const full: AppProcess = {
      ...APP,
      boundingCapabilities: ['CAP_CHOWN'],
      ambientCapabilities: [],
      noNewPrivileges: true,
      umask: 0o77,
      keepOpen: [3],
    };
    for (const app of [APP, full]) assert.deepEqual(parseAppProcess(JSON.stringify(app)), app);
  });

  it('is refused when a field is missing or of a wrong type', () => {
    assert.throws(() => parseAppProcess('{'), { message: 'process description is not JSON' });
    for (const text of ['null', '[]', '1', '{}'])
      assert.throws(() => parseAppProcess(text), { code: 'bad-spec' }, text);
    for (const key of Object.keys(APP)) {
      const rest = Object.fromEntries(Object.entries(APP).filter(([name]) => name !== key));
      assert.throws(() => parseAppProcess(JSON.stringify(rest)), { code: 'bad-spec' }, key);
      assert.throws(() => parseAppProcess(JSON.stringify({ ...APP, [key]: {} })), { code: 'bad-spec' }, key);
    }
    for (const wrong of [
      { boundingCapabilities: 'all' },
      { noNewPrivileges: 'yes' },
      { keepOpen: ['3'] },
      { umask: '22' },
    ]) {
      assert.throws(() => parseAppProcess(JSON.stringify({ ...APP, ...wrong })), { code: 'bad-spec' });
    }
  });

  it('is refused when it would do something else than it says', () => {
    const wrong: Partial<AppProcess>[] = [
      { root: 'relative' },
      { workingDirectory: '' },
      { executable: 'sh' },
      { argv: [] },
      { uid: -1 },
      { gid: 0xffff_ffff },
      { supplementaryGids: [1.5] },
      { argv: ['a\0b'] },
      { environment: [{ name: 'A=B', value: '' }] },
      { environment: [{ name: '', value: '' }] },
      { environment: [{ name: 'A', value: 'x\0' }] },
    ];
    for (const change of wrong) {
      assert.throws(
        () => checkAppProcess({ ...APP, ...change }),
        { code: 'bad-spec' },
        JSON.stringify(change),
      );
    }
    checkAppProcess(APP);
  });
});
