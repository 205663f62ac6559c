import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import { TempDir } from '@rkt/testkit/tmp';

import { withLease } from './lease.ts';

const TIMES = { staleMs: 400, patienceMs: 5000, pollMs: 10 };

describe('lease', () => {
  let tmp: TempDir;
  beforeEach(() => {
    tmp = new TempDir('lease');
  });
  afterEach(() => tmp.remove());

  it('lets one work after the other', async () => {
    const events: string[] = [];
    const begun = Promise.withResolvers<void>();
    const secondWaits = Promise.withResolvers<void>();
    const first = withLease(
      tmp.join('lease'),
      () => events.push('a waits'),
      async () => {
        events.push('a begins');
        begun.resolve();
        await secondWaits.promise;
        events.push('a ends');
      },
      TIMES,
    );
    await begun.promise;
    const second = withLease(
      tmp.join('lease'),
      () => {
        events.push('b waits');
        secondWaits.resolve();
      },
      async () => void events.push('b works'),
      TIMES,
    );
    await Promise.all([first, second]);
    assert.deepEqual(events, ['a begins', 'b waits', 'a ends', 'b works']);
    assert.ok(!existsSync(tmp.join('lease')));
  });

  it('is taken from a holder that was killed', async () => {
    const program = `
      import { withLease } from '@rkt/stage0/fetch/lease';
      await withLease(process.argv[1], () => {}, async () => {
        console.log('held');
        await new Promise((resolve) => setTimeout(resolve, 60_000));
      });`;
    const options = [
      '--conditions=@rkt/source',
      '--disable-warning=ExperimentalWarning',
      '--input-type=module',
    ];
    const child = spawn(process.execPath, [...options, '--eval', program, tmp.join('lease')], {
      cwd: import.meta.dirname,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    child.kill('SIGKILL');
    await once(child, 'exit');
    assert.ok(existsSync(tmp.join('lease')));
    const started = performance.now();
    let waited = false;
    await withLease(
      tmp.join('lease'),
      () => (waited = true),
      () => Promise.resolve(),
      { ...TIMES, staleMs: 1500 },
    );
    assert.ok(waited);
    assert.ok(performance.now() - started < 4000);
  });

  it('is kept by a holder that renews it', async () => {
    let overlapped = false;
    let working = true;
    const first = withLease(
      tmp.join('lease'),
      () => undefined,
      async (renew) => {
        for (let step = 0; step < 40; step += 1) {
          await sleep(20);
          renew();
        }
        working = false;
      },
      TIMES,
    );
    await sleep(20);
    await withLease(
      tmp.join('lease'),
      () => undefined,
      () => Promise.resolve((overlapped = working)),
      TIMES,
    );
    await first;
    assert.equal(overlapped, false);
  });

  it('is no condition for the work', async () => {
    assert.equal(
      await withLease(
        '/nonexistent/lease',
        () => undefined,
        () => Promise.resolve(5),
        TIMES,
      ),
      5,
    );
    await assert.rejects(
      withLease(
        tmp.join('lease'),
        () => undefined,
        () => Promise.reject(new Error('failed')),
        TIMES,
      ),
      /failed/,
    );
    assert.ok(!existsSync(tmp.join('lease')));
  });
});
