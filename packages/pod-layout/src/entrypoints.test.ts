// The table between stage0 and stage1, printed and parsed (contract stage1 1.1-1.5).

import assert from 'node:assert/strict';

import fc from 'fast-check';

import {
  findEntryPoint,
  hostFiles,
  interfaceVersion,
  parseEnterArguments,
  parseGcArguments,
  parseRunArguments,
  parseStopArguments,
  printEnterArguments,
  printGcArguments,
  printRunArguments,
  printStopArguments,
  readsMdsRegistration,
  type RunArguments,
} from './entrypoints.ts';

const UUID = '0f746094-0f74-4f74-8f74-0f7460940f74';
const PLAIN: RunArguments = {
  debug: false,
  net: ['default'],
  interactive: false,
  resolvMode: 'default',
  hostsMode: 'default',
  disableCapabilities: false,
  disablePaths: false,
  disableSeccomp: false,
  mutable: false,
  uuid: UUID,
};

describe('registration with the metadata service', () => {
  it('is read from the pod directory by stage1 images that say so', () => {
    const annotation = (value: string) => [{ name: 'coreos.com/rkt/stage1/mds-registration', value }];
    assert.ok(readsMdsRegistration(annotation('true')));
    for (const annotations of [undefined, [], annotation('false'), annotation('')]) {
      assert.ok(!readsMdsRegistration(annotations));
    }
  });
});

describe('files for the host alone', () => {
  it('are those that the stage1 image names', () => {
    const annotation = (value: string) => [{ name: 'coreos.com/rkt/stage1/host-files', value }];
    assert.deepEqual(hostFiles(annotation('/usr/lib/rkt/stage1, /usr/lib/rkt/programs,')), [
      'usr/lib/rkt/stage1',
      'usr/lib/rkt/programs',
    ]);
    for (const annotations of [undefined, [], annotation('')]) assert.deepEqual(hostFiles(annotations), []);
  });
});

describe('run arguments', () => {
  it('come in the order of the contract', () => {
    const { argv, warnings } = printRunArguments(
      {
        ...PLAIN,
        debug: true,
        net: ['a', 'b:IP=1.2.3.4'],
        interactive: true,
        privateUsers: '65536:65536',
        mdsToken: 'ab',
        localConfig: '/etc/rkt',
        hostname: 'h',
        resolvMode: 'host',
        disableCapabilities: true,
        disablePaths: true,
        disableSeccomp: true,
        mutable: true,
        ipc: 'parent',
      },
      6,
    );
    assert.deepEqual(argv, [
      '--debug',
      '--net=a,b:IP=1.2.3.4',
      '--interactive',
      '--private-users=65536:65536',
      '--mds-token=ab',
      '--local-config=/etc/rkt',
      '--hostname=h',
      '--dns-conf-mode=resolv=host,hosts=default',
      '--disable-capabilities-restriction',
      '--disable-paths',
      '--disable-seccomp',
      '--mutable',
      '--ipc=parent',
      UUID,
    ]);
    assert.deepEqual(warnings, []);
  });

  it('leave out what an old stage1 does not know, and say what matters', () => {
    const { argv, warnings } = printRunArguments(
      { ...PLAIN, hostname: 'h', hostsMode: 'host', disableSeccomp: true, ipc: 'parent' },
      1,
    );
    assert.deepEqual(argv, ['--net=default', UUID]);
    assert.deepEqual(warnings, [
      'warning: --hostname option is not supported by stage1',
      'warning: --dns-conf-mode option not supported by stage1',
      'warning: --ipc option is not supported by stage1',
    ]);
  });

  it('are read back as they were printed', () => {
    const word = fc.stringMatching(/^[a-z0-9:.=-]{1,12}$/).filter((text) => !text.includes(','));
    const record = fc.record(
      {
        debug: fc.boolean(),
        net: fc.array(word, { minLength: 1, maxLength: 3 }),
        interactive: fc.boolean(),
        privateUsers: word,
        mdsToken: word,
        localConfig: word,
        hostname: word,
        resolvMode: fc.constantFrom('default', 'host', 'stage0', 'none'),
        hostsMode: fc.constantFrom('default', 'host', 'stage0'),
        disableCapabilities: fc.boolean(),
        disablePaths: fc.boolean(),
        disableSeccomp: fc.boolean(),
        mutable: fc.boolean(),
        ipc: word,
        uuid: fc.constant(UUID),
      },
      {
        requiredKeys: [
          'debug',
          'net',
          'interactive',
          'resolvMode',
          'hostsMode',
          'disableCapabilities',
          'disablePaths',
          'disableSeccomp',
          'mutable',
          'uuid',
        ],
        noNullPrototype: true,
      },
    );
    fc.assert(
      fc.property(record, (args) => {
        const printed = printRunArguments(args as RunArguments, 6).argv;
        assert.deepEqual(parseRunArguments(printed), args);
      }),
    );
  });

  it('accept one dash and separate values, and refuse what a flavour does not take', () => {
    assert.equal(parseRunArguments(['-net', 'none', '--hostname', 'x', UUID]).hostname, 'x');
    assert.throws(() => parseRunArguments(['--ipc=auto', UUID], ['ipc']), {
      message: 'flag provided but not defined: -ipc',
    });
    assert.throws(() => parseRunArguments(['--dns-conf-mode=resolv=mars', UUID]), { code: 'bad-argument' });
    assert.throws(() => parseRunArguments(['--net']), { message: 'flag needs an argument: -net' });
  });
});

describe('the other entry points', () => {
  it('enter: keeps the command apart from the flags', () => {
    const args = { pid: 42, app: 'web', command: ['/bin/ls', '--pid=7', '--'] };
    assert.deepEqual(printEnterArguments(args), [
      '--pid=42',
      '--appname=web',
      '--',
      '/bin/ls',
      '--pid=7',
      '--',
    ]);
    assert.deepEqual(parseEnterArguments(printEnterArguments(args)), args);
    assert.throws(() => parseEnterArguments(['--pid=0', '--', 'ls']), { code: 'bad-argument' });
    assert.throws(() => parseEnterArguments(['--pid=1', '--']), { message: 'no command to enter with' });
  });
  it('stop and gc: as the contract spells them', () => {
    assert.deepEqual(printStopArguments({ force: true, uuid: UUID }), ['--force', UUID]);
    assert.deepEqual(parseStopArguments([UUID]), { force: false, uuid: UUID });
    const gc = { debug: true, localConfig: '/etc/rkt', uuid: UUID };
    assert.deepEqual(printGcArguments(gc, 5), ['--debug', '--local-config', '/etc/rkt', UUID]);
    assert.deepEqual(printGcArguments(gc, 4), ['--debug', UUID]);
    assert.deepEqual(parseGcArguments(printGcArguments(gc, 6)), gc);
  });
});

describe('entry point annotations', () => {
  const annotation = (name: string, value: string): { name: string; value: string }[] => [{ name, value }];
  it('prefer the newest name and accept the old ones', () => {
    const all = [
      ...annotation('coreos.com/rocket/stage1/init', '/d'),
      ...annotation('coreos.com/rocket/stage1/run', '/c'),
      ...annotation('coreos.com/rkt/stage1/init', '/b'),
      ...annotation('coreos.com/rkt/stage1/run', '/a'),
    ];
    assert.deepEqual(
      [4, 3, 2, 1].map((count) => findEntryPoint(all.slice(0, count), 'run')),
      ['/a', '/b', '/c', '/d'],
    );
    assert.equal(findEntryPoint(annotation('coreos.com/rocket/stage1/gc', 'gc'), 'gc'), '/gc');
  });
  it('name what is missing, and stay inside the image', () => {
    assert.throws(() => findEntryPoint([], 'stop'), {
      message: 'entrypoint "coreos.com/rkt/stage1/stop" not found',
    });
    assert.throws(() => findEntryPoint(annotation('coreos.com/rkt/stage1/run', '/../../bin/sh'), 'run'), {
      code: 'bad-argument',
    });
  });
  it('carry the interface version', () => {
    const version = (value: string): number =>
      interfaceVersion(annotation('coreos.com/rkt/stage1/interface-version', value));
    assert.equal(interfaceVersion([]), 1);
    assert.equal(version('6'), 6);
    for (const bad of ['seven', '', '7', '0', '1e1'])
      assert.throws(() => version(bad), { code: 'bad-argument' });
  });
});
