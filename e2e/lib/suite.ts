// The frame of every suite: requirements, a mount namespace, an rkt, no leaks. Runs in the mocha process.

import assert from 'node:assert/strict';

import { cgroupsOf, isolateMounts, list, mountPoints, processesBelow } from './cleanup.ts';
import { eventually } from './process.ts';
import type { Requirement } from './requires.ts';
import { requires } from './requires.ts';
import { Rkt } from './rkt.ts';

/** What the tests of a suite share. */
export interface Suite {
  /** The suite's rkt; there only while tests run. */
  readonly rkt: Rkt;
}

/**
 * Declares a suite. All its tests use one data directory; after each test every pod is ended and collected, after
 * the last one nothing of the suite may be left on the host.
 */
export function suite(title: string, needs: readonly Requirement[], body: (suite: Suite) => void): void {
  describe(title, () => {
    let rkt: Rkt | undefined;
    let mounts: readonly string[] = [];
    before(function () {
      requires(this, 'rkt', ...needs);
      if (process.getuid?.() === 0) isolateMounts();
      mounts = mountPoints();
      rkt = new Rkt('e2e');
    });
    // A failing hook would end the suite, so what it finds is reported after the last test.
    const faults: string[] = [];
    afterEach(async function () {
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
      const isClean = (): boolean => processesBelow(path).length === 0;
      await eventually('no process of the suite', isClean, 5000).catch(() => undefined);
      const left = {
        processes: processesBelow(path),
        mounts: mountPoints().filter((each) => !mounts.includes(each)),
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
