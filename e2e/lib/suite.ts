// The frame of every suite: requirements, a mount namespace, an rkt, no leaks. Runs in the mocha process.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';

import { readMountInfo } from '@rkt/linux/mount-info';

import { cgroupsOf, isolateMounts, leaveIsolatedMounts, list, processesBelow } from './cleanup.ts';
import { STORE_SEED } from './environment.ts';
import { eventually } from './process.ts';
import type { Requirement } from './requires.ts';
import { requires } from './requires.ts';
import { Rkt } from './rkt.ts';

/** What the tests of a suite share. */
export interface Suite {
  /** The suite's rkt; there only while tests run. */
  readonly rkt: Rkt;
}

/** Options of a suite. */
export interface SuiteOptions {
  /** Pods are looked at by several tests, and the suite's groups sweep for themselves. */
  readonly keepsPods?: boolean;
}

/**
 * Declares a suite. All its tests use one data directory; after each test every pod is ended and collected, after
 * the last one nothing of the suite may be left on the host.
 */
export function suite(
  title: string,
  needs: readonly Requirement[],
  body: (suite: Suite) => void,
  { keepsPods = false }: SuiteOptions = {},
): void {
  describe(title, () => {
    let rkt: Rkt | undefined;
    let mountsBefore: ReadonlySet<number> = new Set();
    before(function () {
      requires(this, 'rkt', ...needs);
      // Pods that the machine starts are mounted where the machine is.
      if (needs.includes('systemd-host')) leaveIsolatedMounts();
      else if (process.getuid?.() === 0) isolateMounts();
      mountsBefore = new Set(readMountInfo().map(({ id }) => id));
      rkt = new Rkt('e2e');
      if (STORE_SEED !== undefined) execFileSync('cp', ['-a', `${STORE_SEED}/.`, rkt.data]);
    });
    // A failing hook would end the suite, so what it finds is reported after the last test.
    const faults: string[] = [];
    afterEach(async function () {
      if (keepsPods) return;
      try {
        await rkt?.sweep();
      } catch (error) {
        faults.push(`after "${this.currentTest?.title}": ${(error as Error).message}`);
        rkt?.discardPods();
      }
    });
    after(async () => {
      if (rkt === undefined) return;
      const { path } = rkt.tmp;
      // In the machine's own mount namespace others mount, too.
      const isOurs = (point: string): boolean => !needs.includes('systemd-host') || point.startsWith(path);
      const isClean = (): boolean => processesBelow(path).length === 0;
      await eventually('no process of the suite', isClean, 5000).catch(() => undefined);
      const left = {
        processes: processesBelow(path),
        // By number: those of others' pods move when their pods do.
        mounts: readMountInfo()
          .filter(({ id, mountPoint }) => !mountsBefore.has(id) && isOurs(mountPoint))
          .map(({ mountPoint }) => mountPoint),
        cgroups: cgroupsOf(rkt.seenPods),
        temporary: list(rkt.scratch),
      };
      // What is still mounted must not be deleted through.
      if (left.mounts.length === 0) rkt.tmp.remove();
      assert.deepEqual(faults, [], 'pods could not be collected');
      assert.deepEqual(
        left,
        { processes: [], mounts: [], cgroups: [], temporary: [] },
        'something was left behind',
      );
    });
    body({
      get rkt(): Rkt {
        assert.ok(rkt !== undefined, 'the suite runs');
        return rkt;
      },
    });
  });
}
