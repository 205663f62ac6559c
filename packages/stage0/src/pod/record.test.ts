// What a pod's directory says of its processes (contract stage0 8.16), with real ones.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { pidFile, podDir, type PodDir, ppidFile } from '@rkt/pod-layout/pod-paths';

import { initPid, shownPid } from './record.ts';

describe('the init of a pod', () => {
  let pod: PodDir;
  let parent: ChildProcess;

  /** Starts a shell that has so many children, and records it as the parent of the pod's init. */
  async function parentOf(children: number): Promise<number> {
    const script = `${'sleep 60 & echo $!; '.repeat(children)} echo all; read end; kill $(jobs -p) 2>/dev/null`;
    parent = spawn('/bin/bash', ['-c', script], { stdio: ['pipe', 'pipe', 'inherit'] });
    let output = '';
    parent.stdout?.on('data', (text: Buffer) => (output += text.toString()));
    while (!output.includes('all')) await once(parent.stdout ?? parent, 'data');
    writeFileSync(ppidFile(pod), String(parent.pid));
    return Number.parseInt(output, 10);
  }

  beforeEach(() => {
    pod = podDir(mkdtempSync(path.join(tmpdir(), 'rkt-record-')));
  });
  afterEach(async () => {
    parent.stdin?.end('\n');
    if (parent.exitCode === null) await once(parent, 'exit');
    rmSync(pod, { recursive: true });
  });

  it('is the only child of the process that stage1 names, unless stage1 names it itself', async () => {
    const child = await parentOf(1);
    assert.equal(initPid(pod), child);
    assert.equal(shownPid(pod), parent.pid);
    writeFileSync(pidFile(pod), '7');
    assert.equal(initPid(pod), 7);
    assert.equal(shownPid(pod), 7);
  });

  it('is not known yet while there is no child', async () => {
    await parentOf(0);
    assert.equal(initPid(pod), undefined);
  });

  it('is not guessed among several children', async () => {
    await parentOf(2);
    assert.throws(() => initPid(pod), {
      code: 'stage1',
      message: `too many children of pid ${String(parent.pid)}`,
    });
  });
});
