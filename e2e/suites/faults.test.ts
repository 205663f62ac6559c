// Killed, out of space, broken or read-only disks, out of descriptors, at any system call of the commands that change
// the image store: the next command works without repair, and nothing half-done is visible (design: hostile inputs
// 53). npm test looks at some of the calls, `npm run fuzz -- faults` at more and more of them.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';

import { MNT_DETACH } from '@rkt/linux/constants';
import { openKernel } from '@rkt/linux/libc';
import { runs } from '@rkt/property-runs/runs';
import { imageManifest } from '@rkt/testkit/manifests';

import { list } from '../lib/cleanup.ts';
import { type Fault, FAULTS, listCalls, runWithFault } from '../lib/faults.ts';
import { writeImage } from '../lib/images.ts';
import type { Result } from '../lib/process.ts';
import { INSECURE, Rkt } from '../lib/rkt.ts';
import { suite } from '../lib/suite.ts';

/** Calls that get a fault, of each command and kind of fault. */
const POINTS = 6;

/** What a fault may leave that is not visible as an image or a tree, and that the next command does away with. */
const UNSEEN =
  /^(manifest|row|blob) sha512-\w+: (its file is missing|the database does not have it)$|^tree \S+: it was never finished$/;

suite('faults', ['root', 'overlayfs', 'program:strace'], () => {
  describe('in commands that change the store', storeFaults);
});

function storeFaults(): void {
  let rkt: Rkt;
  let image = '';
  let template = '';
  let key = '';
  before(async () => {
    rkt = new Rkt('faults');
    image = writeImage(rkt, {
      manifest: imageManifest({ name: 'example.com/faults', exec: ['/x'] }),
      files: [
        { path: 'etc/', mode: 0o750 },
        { path: 'etc/conf', content: 'setting\n', xattrs: { 'user.a': 'b' } },
        { path: 'etc/alias', type: 'hardlink', linkname: 'etc/conf' },
        { path: 'link', type: 'symlink', linkname: 'etc' },
        { path: 'null', type: 'char', major: 1, minor: 3 },
      ],
    });
    // Nothing here has to last, and every case syncs.
    openKernel().mount('tmpfs', rkt.data, 'tmpfs', 0, 'mode=755');
    key = await rkt.fetch(image);
    template = rkt.tmp.join('template');
    copy(rkt.data, template);
  });
  after(() => {
    if (rkt === undefined) return;
    openKernel().umount2(rkt.data, MNT_DETACH);
    rkt.tmp.remove();
  });

  const reset = (from?: string): void => {
    for (const name of list(rkt.data)) rmSync(`${rkt.data}/${name}`, { recursive: true });
    if (from !== undefined) copy(`${from}/.`, rkt.data);
  };

  /** What must hold after any fault, whatever the command had done by then. */
  const recovers = async (fault: Fault, failed: Result): Promise<void> => {
    assert.ok([0, 254, 137].includes(failed.status), `status ${failed.status}: ${failed.output}`);
    assert.doesNotMatch(failed.stderr, /^ {4}at /m);
    if (failed.status === 254) assert.match(failed.stderr, /^(fetch|image|rm|gc): ./m);
    if (failed.status === 137) assert.equal(fault, 'KILL');
    await rkt.ok(['image', 'list']);
    const checked = await rkt.run(['image', 'fsck']);
    for (const line of checked.stdout.split('\n').filter((each) => each !== ''))
      assert.match(line, UNSEEN, checked.output);
  };
  const heals = async (): Promise<void> => {
    assert.equal(await rkt.fetch(image), key);
    const { stderr } = await rkt.ok(['image', 'fsck']);
    assert.match(stderr, /nothing is broken/);
    assert.equal((await rkt.ok(['image', 'verify', key])).stdout.startsWith('successfully verified'), true);
  };
  const isGone = async (): Promise<void> => {
    await rkt.ok(['image', 'gc', '--grace-period=0s']);
    assert.equal((await rkt.ok(['image', 'list', '--no-legend'])).stdout, '\n');
    assert.deepEqual(list(`${rkt.data}/cas/tree`), []);
  };

  const COMMANDS: readonly {
    readonly name: string;
    readonly args: () => readonly string[];
    readonly isFetched: boolean;
  }[] = [
    { name: 'fetch', args: () => [INSECURE, 'fetch', '--full', image], isFetched: false },
    { name: 'image rm', args: () => ['image', 'rm', key], isFetched: true },
    { name: 'image gc', args: () => ['image', 'gc', '--grace-period=0s'], isFetched: true },
  ];
  for (const { name, args, isFetched } of COMMANDS) {
    for (const [turn, fault] of FAULTS.entries()) {
      it(`${fault} in ${name}: the next command works`, async function () {
        this.timeout(0);
        reset(isFetched ? template : undefined);
        const calls = await listCalls(rkt, args(), fault);
        const step = Math.max(1, Math.floor(calls.length / runs(POINTS)));
        // Each fault begins elsewhere, so that together they come by more of the calls.
        for (let at = Math.floor((step * turn) / FAULTS.length); at < calls.length; at += step) {
          const call = calls[at] ?? assert.fail();
          reset(isFetched ? template : undefined);
          const failed = await runWithFault(rkt, args(), fault, call);
          try {
            await recovers(fault, failed);
            await (at % 2 === 0 ? heals() : isGone());
          } catch (error) {
            throw new Error(`${fault} at ${call.name} number ${call.ordinal}: ${failed.output}`, {
              cause: error,
            });
          }
        }
      });
    }
  }
}

// With links, owners and attributes, which node's cpSync loses.
function copy(from: string, to: string): void {
  execFileSync('cp', ['-a', '--', from, to]);
}
