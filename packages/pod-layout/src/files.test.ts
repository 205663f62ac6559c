// The tiny files and the tables of the pod layout.

import assert from 'node:assert/strict';

import fc from 'fast-check';

import { blobFile, dataDir } from './data-dir.ts';
import {
  parseExitStatus,
  parsePid,
  parseUidRange,
  printExitStatus,
  printPid,
  printUidRange,
} from './files.ts';
import { hasRun, isAfterRun, isFinished, LEGAL_MOVES, POD_DIRECTORIES, podPhase } from './lifecycle.ts';
import { describeNetworks, parseNetInfo, printNetInfo } from './net-info.ts';
import { isTreeId, overlayUpper, podPath, stage1StatusRoot } from './pod-paths.ts';
import { imageLinkName, statusFile } from './stage1-paths.ts';

describe('tiny files', () => {
  it('are read back as they were written', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4194304 }), fc.nat(255), (pid, status) => {
        assert.equal(parsePid(printPid(pid)), pid);
        assert.equal(parseExitStatus(printExitStatus(status)), status);
        assert.deepEqual(parseUidRange(printUidRange({ shift: pid, count: 65536 })), {
          shift: pid,
          count: 65536,
        });
      }),
    );
  });
  it('never become numbers by accident', () => {
    for (const text of ['', ' ', '-1', '1e3', '0x10', '12 13', '9'.repeat(20)]) {
      assert.throws(() => parsePid(text), { code: 'bad-file' });
    }
    assert.throws(() => parsePid('0'), { code: 'bad-file' });
    assert.throws(() => parseUidRange('1'), { code: 'bad-file' });
  });
});

describe('lifecycle', () => {
  it('has the ten phases of the contract', () => {
    const phases = POD_DIRECTORIES.map((directory) => [
      podPhase(directory, false),
      podPhase(directory, true),
    ]);
    assert.deepEqual(phases, [
      ['embryo', 'embryo'],
      ['aborted prepare', 'preparing'],
      ['prepared', 'prepared'],
      ['exited', 'running'],
      ['exited garbage', 'exited deleting'],
      ['garbage', 'deleting'],
    ]);
  });
  it('only ever moves forward', () => {
    for (const from of POD_DIRECTORIES) {
      for (const to of LEGAL_MOVES[from])
        assert.ok(POD_DIRECTORIES.indexOf(to) > POD_DIRECTORIES.indexOf(from));
    }
  });
  it('knows the end when it sees it', () => {
    assert.deepEqual([isFinished('aborted prepare'), isAfterRun('aborted prepare')], [true, false]);
    assert.deepEqual([isFinished('running'), hasRun('running')], [false, true]);
    assert.deepEqual([isFinished('prepared'), hasRun('prepared')], [false, false]);
  });
});

describe('paths', () => {
  const data = dataDir('/var/lib/rkt');
  const key = `sha512-${'ab'.repeat(32)}`;
  it('fan blobs out by the first two digits of the key', () => {
    assert.equal(blobFile(data, key), `/var/lib/rkt/cas/blob/sha512/ab/${key}`);
  });
  it('find the records of an overlay pod in its upper directory', () => {
    const pod = podPath(data, 'run', 'u');
    assert.equal(
      statusFile(stage1StatusRoot(pod, undefined), 'a'),
      '/var/lib/rkt/pods/run/u/stage1/rootfs/rkt/status/a',
    );
    assert.equal(
      statusFile(stage1StatusRoot(pod, 't'), 'a'),
      '/var/lib/rkt/pods/run/u/overlay/t/upper/rkt/status/a',
    );
    assert.equal(overlayUpper(pod, 't', ''), '/var/lib/rkt/pods/run/u/overlay/t/upper');
  });
  it('know a tree ID and the seed form of an image', () => {
    assert.ok(isTreeId(`deps-${key}`));
    for (const bad of ['', 'deps-sha512-', `deps-${key}/..`, `deps-${key.toUpperCase()}`])
      assert.ok(!isTreeId(bad));
    assert.equal(imageLinkName(key), `sha512-${'ab'.repeat(16)}`);
  });
});

describe('net-info.json', () => {
  const network = {
    netName: 'default',
    netConf: 'net/99-default.conf',
    pluginPath: 'stage1/rootfs/usr/lib/rkt/plugins/net/ptp',
    ifName: 'eth0',
    ip: '172.16.28.2',
    args: '',
    mask: '255.255.255.0',
  };
  it('is read back, and shown in the words of list and status', () => {
    assert.deepEqual(parseNetInfo(printNetInfo([network])), [network]);
    assert.equal(
      describeNetworks([network, { ...network, netName: 'b', ip: '10.0.0.1' }]),
      'default:ip4=172.16.28.2, b:ip4=10.0.0.1',
    );
  });
  it('is refused when it is something else', () => {
    for (const text of ['', '{}', 'null', '[']) assert.throws(() => parseNetInfo(text), { code: 'bad-file' });
    assert.equal(parseNetInfo('[null]')[0]?.ip, '');
  });
});
