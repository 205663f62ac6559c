// Arguments and environment of the entry points that change a running pod (contract stage1 1.6). Runs in mocha.

import assert from 'node:assert/strict';

import {
  type AttachArguments,
  crossingEnvironment,
  parseAppArguments,
  parseAttachArguments,
  printAppArguments,
  printAttachArguments,
} from './crossing.ts';
import { stage1Root } from './pod-paths.ts';

describe('crossing entry points', () => {
  it('are called with what they read', () => {
    const uuid = '0f746094-3438-42bc-ab37-3cf85f132e60';
    assert.deepEqual(printAppArguments({ debug: true, app: 'web', uuid }), [
      '--debug=true',
      `--uuid=${uuid}`,
      '--app=web',
    ]);
    assert.deepEqual(printAppArguments({ debug: false, app: 'web' }), ['--debug=false', '--app=web']);
    for (const call of [
      { debug: true, app: 'web', uuid },
      { debug: false, app: 'a-1' },
    ]) {
      assert.deepEqual(parseAppArguments(printAppArguments(call)), call);
    }
  });
  it('attach to what is chosen', () => {
    const calls: AttachArguments[] = [
      { action: 'list', parts: [], app: 'web', debug: false },
      { action: 'auto-attach', parts: [], app: 'web', debug: true },
      { action: 'custom-attach', parts: ['tty-in', 'stderr'], app: 'a-1', debug: false },
    ];
    for (const call of calls) assert.deepEqual(parseAttachArguments(printAttachArguments(call)), call);
    assert.equal(
      printAttachArguments(calls[2] as AttachArguments).join(' '),
      '--action=custom-attach --tty-in=true --tty-out=false --stdin=false --stdout=false --stderr=true --app=a-1 --debug=false',
    );
    assert.throws(() => parseAttachArguments(['--action=x', '--app=a']), /unknown action "x"/);
    assert.throws(() => parseAttachArguments(['--action=list', '--app=..']), { code: 'bad-argument' });
  });
  it('refuse what is no app: it becomes part of paths', () => {
    for (const app of ['', '..', 'a/b', 'A', '-a', 'a b']) {
      assert.throws(() => parseAppArguments([`--app=${app}`]), { code: 'bad-argument' });
    }
    assert.throws(() => parseAppArguments(['--other=x']), /flag provided but not defined: -other/);
  });
  it('have exactly three variables', () => {
    assert.deepEqual(crossingEnvironment(stage1Root('/p/stage1/rootfs'), '/enter', 42, '/bin'), {
      RKT_STAGE1_ENTERCMD: '/p/stage1/rootfs/enter',
      RKT_STAGE1_ENTERPID: '42',
      PATH: '/bin',
    });
  });
});
