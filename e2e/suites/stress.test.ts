// A hundred pods of three apps, one after the other and twenty at once: every exit status is right, every line is
// there, and after gc nothing is.

import assert from 'node:assert/strict';
import { readdirSync, readlinkSync } from 'node:fs';

import { minimalImage } from '@rkt/testkit/debian-image';

import { cgroupsOf, list, mountPoints, processesBelow } from '../lib/cleanup.ts';
import type { PodJson } from '../lib/fixtures.ts';
import { forEachFlavour } from '../lib/flavours.ts';
import { writeImage } from '../lib/images.ts';
import { eventually, type Result } from '../lib/process.ts';
import { suite } from '../lib/suite.ts';

const PODS = 100;
const AT_ONCE = 20;
const LINES = 25;

/** Says its lines, then ends with a status. */
const SCRIPT = 'i=0; while [ $i -lt $1 ]; do i=$((i + 1)); echo $AC_APP_NAME $2 line $i; done; exit $3';

suite('stress', ['root', 'busybox'], (the) => {
  forEachFlavour(['severalApps', 'statusFiles'], (flavour) => {
    let key = '';
    before(async () => {
      const image = minimalImage({ name: 'example.com/talker', exec: ['/bin/sh', '-c', SCRIPT, 'sh'] });
      key = await the.rkt.fetch(writeImage(the.rkt, image));
      // Everything that is made once, stage1's tree above all, is made here.
      await run(0);
    });

    // Every fourth pod has an app that fails; the first failure is the status of the pod.
    const statusOf = (serial: number): number => (serial % 4 === 3 ? 1 + (serial % 100) : 0);

    function run(serial: number): Promise<Result> {
      const app = (name: string, status: number): string[] => [
        key,
        `--name=${name}`,
        '--',
        String(LINES),
        String(serial),
        String(status),
        '---',
      ];
      return the.rkt.run(flavour.run(...app('one', 0), ...app('two', statusOf(serial)), ...app('three', 0)));
    }

    function check(serial: number, result: Result): void {
      assert.equal(result.status, statusOf(serial), `pod ${serial}:\n${result.output}`);
      // An app that fails ends the pod: the others may not have come to say all.
      for (const app of statusOf(serial) === 0 ? ['one', 'two', 'three'] : ['two']) {
        const wanted = Array.from({ length: LINES }, (_, index) => `${app} ${serial} line ${index + 1}`);
        assert.deepEqual(flavour.linesOf(result, app), wanted, `pod ${serial}, app ${app}`);
      }
    }

    /** What is on the host: compared before and after. */
    function traces(): Record<string, unknown> {
      const { path } = the.rkt.tmp;
      return {
        mounts: mountPoints().length,
        namespaces: list('/run/netns').concat(list('/var/run/netns')),
        processes: processesBelow(path).length,
        pods: readdirSync(`${the.rkt.data}/pods`).map(
          (state) => list(`${the.rkt.data}/pods/${state}`).length,
        ),
        files: list('/run/systemd/nspawn').concat(list(the.rkt.scratch)),
        descriptors: readdirSync('/proc/self/fd').filter((fd) => pointsBelow(fd, path)).length,
      };
    }

    async function inTurns(count: number, atOnce: number): Promise<void> {
      await the.rkt.ok(['gc', '--grace-period=0s']);
      const before = traces();
      let next = 0;
      const worker = async (): Promise<void> => {
        while (next < count) {
          const serial = next++;
          check(serial, await run(serial));
        }
      };
      await Promise.all(Array.from({ length: atOnce }, worker));
      const uuids = the.rkt.podsIn('run');
      assert.equal(uuids.length, count);
      const { stdout } = await the.rkt.ok(['list', '--format=json']);
      for (const { name, state, apps = [] } of JSON.parse(stdout) as PodJson[]) {
        assert.equal(state, 'exited', name);
        const known = apps.filter((app) => app.exit_code !== undefined).map((app) => app.name);
        assert.deepEqual(known.sort(), ['one', 'three', 'two'], name);
      }
      await the.rkt.ok(['gc', '--grace-period=0s']);
      await eventually('no process is left', () => traces()['processes'] === before['processes']);
      assert.deepEqual(traces(), before);
      assert.deepEqual(cgroupsOf(uuids), []);
    }

    it(`${PODS} pods of three apps, one after the other`, async function () {
      this.timeout(300_000);
      await inTurns(PODS, 1);
    });

    it(`${PODS} pods of three apps, ${AT_ONCE} at once`, async function () {
      this.timeout(300_000);
      await inTurns(PODS, AT_ONCE);
    });
  });
});

function pointsBelow(fd: string, path: string): boolean {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`).startsWith(path);
  } catch {
    return false;
  }
}
