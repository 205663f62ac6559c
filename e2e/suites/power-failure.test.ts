// Prepared pods survive a power failure (contract stage0 8.1): what they copied of trees need not be on the disk by then,
// and is copied again by the first run-prepared of another boot (docs/decisions/0059-copies-after-a-power-failure.md).
// Another boot is another boot ID in the mount namespace of the suite.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { appendFileSync, existsSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';

import { MNT_DETACH, MS_BIND } from '@rkt/linux/constants';
import { openKernel } from '@rkt/linux/libc';
import { imageManifest } from '@rkt/testkit/manifests';
import { minimalImage } from '@rkt/testkit/debian-image';
import { STUB_MESSAGE } from '@rkt/testkit/stub-stage1';

import { text } from '../lib/cleanup.ts';
import { podSuite } from '../lib/fixtures.ts';
import { forEachFlavour } from '../lib/flavours.ts';
import { writeImage } from '../lib/images.ts';
import { requires } from '../lib/requires.ts';
import { expectStatus, Rkt } from '../lib/rkt.ts';

const BOOT_ID = '/proc/sys/kernel/random/boot_id';
const AGAIN = 'the pod was prepared before this machine started, copying its images again';

podSuite('power failures', [], (the) => {
  let reboots = 0;
  const reboot = (): void => {
    const file = the.rkt.tmp.join('boot-id');
    writeFileSync(file, `${randomUUID()}\n`);
    openKernel().mount(file, BOOT_ID, null, MS_BIND, null);
    reboots += 1;
  };
  afterEach(() => {
    for (; reboots > 0; reboots -= 1) openKernel().umount2(BOOT_ID, MNT_DETACH);
  });
  const copyOf = (uuid: string): string => `${the.rkt.podDir(uuid)}/stage1/rootfs`;
  const appOf = (uuid: string): string => `${copyOf(uuid)}/opt/stage2/tiny/rootfs`;
  const treeIdFile = (uuid: string): string => `${the.rkt.podDir(uuid)}/appsinfo/tiny/treeStoreID`;
  const runPrepared = (uuid: string): Promise<{ stdout: string; stderr: string }> =>
    the.rkt.ok(['run-prepared', '--net=host', uuid]);

  const listing = (directory: string): string[] =>
    execFileSync('find', ['.', '-printf', '%p %y %m %U:%G %l\\n'], { cwd: directory, encoding: 'utf8' })
      .split('\n')
      .sort();

  for (const flags of [[], ['--private-users']]) {
    const prepare = (): Promise<string> =>
      the.rkt.prepare(['--no-overlay', ...flags, the.stub, the.image, the.image, '--name=second']);
    const damages: Readonly<Record<string, (uuid: string) => void>> = {
      'a file that is empty': (uuid) => truncateSync(`${appOf(uuid)}/file`),
      'directories that are missing': (uuid) => rmSync(`${copyOf(uuid)}/opt`, { recursive: true }),
      'no copy at all, as when the power fails again': (uuid) => rmSync(copyOf(uuid), { recursive: true }),
      'what was never there': (uuid) => writeFileSync(`${appOf(uuid)}/garbage`, 'garbage'),
    };
    for (const [damage, make] of Object.entries(damages)) {
      it(`${['leave', ...flags].join(' ')} ${damage}, and a pod that runs`, async function () {
        if (flags.length > 0) requires(this, 'userns');
        const whole = await prepare();
        await runPrepared(whole);
        const uuid = await prepare();
        make(uuid);
        reboot();
        const { stdout, stderr } = await runPrepared(uuid);
        assert.equal(stdout, `${STUB_MESSAGE}\n`);
        assert.equal(stderr.trimEnd(), `stage0: ${AGAIN}`);
        if (flags.length === 0) assert.deepEqual(listing(copyOf(uuid)), listing(copyOf(whole)));
        const users = text(`${the.rkt.podDir(uuid)}/private-users-prepared`);
        const { uid, gid, mtimeMs } = statSync(`${appOf(uuid)}/file`);
        const shift = Number(users.split(':')[0]);
        assert.deepEqual([uid, gid, mtimeMs], [shift, shift, 0]);
        assert.equal(text(`${appOf(uuid)}/file`), 'tiny');
      });
    }
  }

  it('do not concern pods of this boot, nor pods with overlay', async () => {
    const uuid = await the.prepare('--no-overlay');
    appendFileSync(`${appOf(uuid)}/file`, ' and more');
    assert.equal((await runPrepared(uuid)).stderr, '');
    assert.equal(text(`${appOf(uuid)}/file`), 'tiny and more');
    const overlay = await the.prepare();
    reboot();
    assert.equal((await runPrepared(overlay)).stderr, '');
  });

  it('find the trees of images that were removed, which image gc leaves to the pod', async () => {
    const uuid = await the.prepare('--no-overlay');
    const trees = [`${the.rkt.podDir(uuid)}/stage1TreeStoreID`, treeIdFile(uuid)].map(text);
    const keptBy = async (): Promise<boolean[]> => {
      await the.rkt.ok(['image', 'gc', '--grace-period=0s']);
      return trees.map((id) => existsSync(`${the.rkt.data}/cas/tree/${id}/rendered`));
    };
    const { stdout } = await the.rkt.ok(['image', 'list', '--fields=id', '--no-legend', '--full']);
    await the.rkt.ok(['image', 'rm', ...stdout.trim().split(/\s+/)]);
    assert.deepEqual(await keptBy(), [true, true]);
    truncateSync(`${appOf(uuid)}/file`);
    reboot();
    assert.match((await runPrepared(uuid)).stderr, new RegExp(AGAIN));
    assert.equal(text(`${appOf(uuid)}/file`), 'tiny');
    await the.rkt.ok(['rm', uuid]);
    assert.deepEqual(await keptBy(), [false, false]);
  });

  it('leave a pod that says what is missing, if somebody deleted a tree', async () => {
    const uuid = await the.prepare('--no-overlay');
    const id = text(treeIdFile(uuid));
    rmSync(`${the.rkt.data}/cas/tree/${id}`, { recursive: true });
    reboot();
    await the.rkt.fails(
      ['run-prepared', '--net=host', uuid],
      `there is no tree ${id} any more (prepare the pod again)`,
    );
    assert.equal(text(`${appOf(uuid)}/file`), 'tiny');
    assert.deepEqual(the.rkt.podsIn('prepared'), [uuid]);
  });

  it('find pods on the disk whose images had no trees', async () => {
    const key = await the.rkt.fetch(the.image);
    await the.rkt.ok(['image', 'gc']);
    const uuid = await the.rkt.prepare(['--no-overlay', the.stub, key]);
    assert.equal(existsSync(treeIdFile(uuid)), false);
    await the.rkt.ok(['image', 'rm', key]);
    reboot();
    assert.equal((await runPrepared(uuid)).stderr, '');
    assert.equal(text(`${appOf(uuid)}/file`), 'tiny');
  });

  forEachFlavour(['running'], (flavour) => {
    it('leave what runs, on a disk that has only what was written by then', async function () {
      requires(this, 'loop', 'busybox', 'program:mkfs.ext4');
      const rkt = new Rkt('power');
      const disk = rkt.tmp.join('disk');
      writeFileSync(disk, '');
      truncateSync(disk, 2 ** 31);
      execFileSync('mkfs.ext4', ['-q', disk]);
      execFileSync('mount', ['-o', 'loop', disk, rkt.data]);
      try {
        const data = randomBytes(4_000_000);
        const { files = [] } = minimalImage();
        const image = writeImage(rkt, {
          manifest: imageManifest({ name: 'example.com/sum', exec: ['/bin/busybox', 'sha512sum', '/data'] }),
          files: [...files, { path: 'data', content: data }],
        });
        const uuid = await rkt.prepare(['--no-overlay', ...flavour.stage1, image]);
        // Not what its file system has in memory.
        execFileSync('cp', ['--sparse=always', disk, `${disk}-after`]);
        execFileSync('umount', [rkt.data]);
        execFileSync('mount', ['-o', 'loop', `${disk}-after`, rkt.data]);
        // The kernel may have written more than it had to.
        rmSync(`${rkt.podDir(uuid)}/stage1/rootfs/opt/stage2/sum/rootfs`, { recursive: true, force: true });
        reboot();
        const result = expectStatus(await rkt.run(['run-prepared', ...flavour.net, uuid]), 0);
        const sum = createHash('sha512').update(data).digest('hex');
        assert.deepEqual(flavour.linesOf({ output: result.stdout }), [`${sum}  /data`]);
        await rkt.ok(['gc', '--grace-period=0s']);
      } finally {
        execFileSync('umount', [rkt.data]);
        rkt.tmp.remove();
      }
    });
  });
});
