// Pods by directory and lock: phases, moves, prefixes (contract stage0 8.1, 8.2). Uses the real kernel.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { createLogger } from '@rkt/diagnostics/logger';
import { type DataDir, dataDir } from '@rkt/pod-layout/data-dir';
import { LISTED_DIRECTORIES } from '@rkt/pod-layout/lifecycle';
import { podStateDir } from '@rkt/pod-layout/pod-paths';

import { resolvePod, walkPods } from './find.ts';
import { createPod, findPod, movePod, takePod } from './pod.ts';

const A = '0f746094-0f74-4f74-8f74-0f7460940f74';
const B = '0f74ffff-0f74-4f74-8f74-0f7460940f74';

describe('a pod', () => {
  let data: DataDir;
  beforeEach(() => {
    data = dataDir(mkdtempSync(path.join(tmpdir(), 'rkt-pod-')));
  });
  afterEach(() => rmSync(data, { recursive: true }));

  it('goes from preparing to exited garbage, and each phase shows', () => {
    const preparing = createPod(data, A);
    assert.equal(findPod(data, A)?.phase, 'preparing');
    const prepared = movePod(preparing, 'prepared');
    assert.equal(findPod(data, A)?.phase, 'prepared');
    const running = movePod(prepared, 'run');
    assert.equal(findPod(data, A)?.phase, 'running');
    assert.equal(takePod(data, A, 'run'), undefined);
    running.lock.release();
    assert.equal(findPod(data, A)?.phase, 'exited');
    const marked = takePod(data, A, 'run');
    assert.ok(marked);
    movePod(marked, 'exited-garbage').lock.release();
    assert.equal(findPod(data, A)?.phase, 'exited garbage');
  });

  it('that lost its preparer is an aborted prepare', () => {
    createPod(data, A).lock.release();
    assert.equal(findPod(data, A)?.phase, 'aborted prepare');
    assert.equal(takePod(data, A, 'run'), undefined);
  });

  it('never moves back', () => {
    const pod = movePod(createPod(data, A), 'run');
    assert.throws(() => movePod(pod, 'prepare'), { code: 'wrong-state' });
    pod.lock.release();
  });

  it('is found by any unambiguous prefix in any case', () => {
    for (const uuid of [A, B]) createPod(data, uuid).lock.release();
    assert.equal(resolvePod(data, '0F746').uuid, A);
    assert.throws(() => resolvePod(data, '0f74'), { message: 'ambiguous uuid, 2 matches' });
    assert.throws(() => resolvePod(data, 'ff'), { message: 'no matches found for "ff"' });
    assert.throws(() => resolvePod(data, ''), { message: 'UUID cannot be empty' });
  });

  it('is walked in order, and what is no pod is named', () => {
    for (const uuid of [B, A]) createPod(data, uuid).lock.release();
    mkdirSync(path.join(podStateDir(data, 'run'), 'not-a-pod'));
    writeFileSync(path.join(podStateDir(data, 'prepared'), B), '');
    const said: string[] = [];
    const logger = createLogger({ prefix: 'list', write: (text) => void said.push(text) });
    assert.deepEqual(
      [...walkPods(data, LISTED_DIRECTORIES, logger)].map(({ uuid, phase }) => [uuid, phase]),
      [
        [A, 'aborted prepare'],
        [B, 'aborted prepare'],
      ],
    );
    assert.deepEqual(said, [
      `list: unrecognized entry: "${B}", ignoring\n`,
      'list: unrecognized entry: "not-a-pod", ignoring\n',
    ]);
  });
});
