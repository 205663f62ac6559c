import assert from 'node:assert/strict';

import { parseGcArguments, parseRunArguments, parseStopArguments } from './arguments.ts';

const UUID = '0fceae1c-1234-4abc-8def-0123456789ab';

describe('arguments of stage1 entry points', () => {
  it('parses run as stage0 prints it', () => {
    const args = parseRunArguments(['--debug', '--net=host', '--local-config=/etc/rkt', UUID.toUpperCase()]);
    assert.equal(args.uuid, UUID);
    assert.equal(args.debug, true);
    assert.deepEqual(args.net, ['host']);
  });

  it('refuses a missing, a malformed and a path-like UUID', () => {
    for (const words of [[], ['--net=host'], ['x'], ['../../etc'], [`${UUID}/`]]) {
      assert.throws(() => parseRunArguments(words), { message: 'UUID is missing or malformed' });
    }
    assert.throws(() => parseGcArguments(['--debug']), { code: 'bad-argument' });
    assert.throws(() => parseStopArguments(['--force']), { code: 'bad-argument' });
  });

  it('refuses flags a flavour does not know', () => {
    assert.throws(() => parseRunArguments(['--ipc=parent', UUID], ['ipc']), {
      message: 'flag provided but not defined: -ipc',
    });
  });

  it('parses gc and stop', () => {
    assert.deepEqual(parseGcArguments(['--debug', '--local-config', '/etc/rkt', UUID]), {
      debug: true,
      localConfig: '/etc/rkt',
      uuid: UUID,
    });
    assert.deepEqual(parseStopArguments(['-force', UUID]), { force: true, uuid: UUID });
  });
});
