import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  existsSync,
  ftruncateSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  closeSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import {
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  MNT_DETACH,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFMT,
} from '@rkt/linux/constants';
import { KernelError } from '@rkt/linux/errno';
import type { Kernel } from '@rkt/linux/kernel';
import { openKernel } from '@rkt/linux/libc';

import { compareTrees } from './compare.ts';
import { copyTree } from './copy-tree.ts';
import { SecondThread } from './second-thread.ts';
import { walkTree } from './walk-tree.ts';

const LARGE = 1_300_000;
const OPTIONS = { privileged: true, warn: (message: string): void => assert.fail(message) };
// Not a whole number of microseconds, and before 1970.
const TIMES = [1_600_000_000_123_456_789n, -1_234_567_891n] as const;

describe('copies of trees', () => {
  let base = '';
  let source = '';
  let target = '';
  beforeEach(function () {
    if (process.getuid?.() !== 0) this.skip();
    base = mkdtempSync(path.join(tmpdir(), 'rkt-copy-'));
    [source, target] = [path.join(base, 'source'), path.join(base, 'target')];
    mkdirSync(source);
    mkdirSync(target);
  });
  afterEach(() => base !== '' && rmSync(base, { recursive: true, force: true }));

  async function copy(kernel: Kernel = openKernel(), options = {}): Promise<void> {
    await copyTree(source, target, kernel, { ...OPTIONS, ...options });
  }

  function assertSame(): void {
    const wanted = { directory: source, digests: new Map() };
    assert.deepEqual([...compareTrees(target, wanted, openKernel(), () => false)], []);
    for (const { path: name } of [{ path: '' }, ...walkTree(source)]) {
      const [ours, theirs] = [target, source].map((root) =>
        openKernel().statAt(AT_FDCWD, Buffer.from(`${root}/${name}`, 'latin1'), AT_SYMLINK_NOFOLLOW),
      );
      assert.deepEqual(ours?.mtime, theirs?.mtime, `mtime of ${name}`);
      // How many a directory has depends on the order in which it was filled.
      if (((ours?.mode ?? 0) & S_IFMT) !== S_IFDIR)
        assert.equal(ours?.blocks, theirs?.blocks, `blocks of ${name}`);
    }
  }

  /** One of everything, also below a directory, with times of its own. */
  function fill(root: string): void {
    const kernel = openKernel();
    const at = (name: string): string => path.join(root, name);
    writeFileSync(at('small'), 'content');
    writeFileSync(at('empty'), '');
    writeFileSync(at('large'), Buffer.alloc(LARGE, 'large'));
    for (const name of ['small', 'large']) chownSync(at(name), 5, 70_000);
    chmodSync(at('large'), 0o6751);
    writeFileSync(at('capable'), Buffer.alloc(LARGE, 'c'));
    kernel.lsetXattr(
      at('capable'),
      'security.capability',
      Buffer.from('0100000200040000000000000000000000000000', 'hex'),
    );
    kernel.lsetXattr(at('small'), 'user.name', Buffer.from('value'));
    linkSync(at('large'), at('second-name'));
    symlinkSync('/nowhere/\u{1F980}', at('link'));
    symlinkSync('nowhere', at('link-1'));
    lchownSync(at('link-1'), 0, 0);
    linkSync(at('link-1'), at('link-2'));
    kernel.mknodAt(AT_FDCWD, at('null'), S_IFCHR | 0o640, 1, 3);
    kernel.mknodAt(AT_FDCWD, at('disk'), S_IFBLK | 0o600, 0xabc, 0xf_1234);
    kernel.mknodAt(AT_FDCWD, at('pipe'), S_IFIFO | 0o604, 0, 0);
    writeFileSync(
      Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0xff, 0x0a, 0x27])]),
      'a name of bytes',
    );
    const sparse = openSync(at('sparse'), 'w');
    ftruncateSync(sparse, 3_000_000);
    writeSync(sparse, 'middle', 1_000_000);
    writeSync(sparse, 'late', 2_500_000);
    closeSync(sparse);
    const hole = openSync(at('hole'), 'w');
    ftruncateSync(hole, 5_000_000);
    closeSync(hole);
    for (const name of ['small', 'large', 'link', 'null', 'sparse'])
      kernel.utimensAt(AT_FDCWD, at(name), ...TIMES, AT_SYMLINK_NOFOLLOW);
  }

  it('are the same in all that files are', async () => {
    mkdirSync(path.join(source, 'a/b/c'), { recursive: true });
    fill(source);
    fill(path.join(source, 'a/b'));
    linkSync(path.join(source, 'large'), path.join(source, 'a/third-name'));
    chmodSync(path.join(source, 'a'), 0o2770);
    chmodSync(path.join(source, 'a/b/c'), 0o1000);
    chownSync(path.join(source, 'a/b/c'), 7, 8);
    openKernel().lsetXattr(path.join(source, 'a'), 'user.of', Buffer.from('a directory'));
    for (const name of ['a/b/c', 'a/b', 'a', ''])
      openKernel().utimensAt(AT_FDCWD, path.join(source, name), ...TIMES, 0);
    await copy();
    assertSame();
    assert.equal(lstatSync(path.join(target, 'a/third-name')).ino, lstatSync(path.join(target, 'large')).ino);
    assert.equal(openKernel().lgetXattr(path.join(target, 'capable'), 'security.capability').length, 20);
    assert.equal(lstatSync(path.join(target, 'hole')).blocks, 0);
  });

  describe('have the owners and modes of their source, whatever new files get from', () => {
    beforeEach(() => {
      const others = path.join(source, 'of others');
      mkdirSync(path.join(others, 'below'), { recursive: true });
      chownSync(others, 7, 8);
      chmodSync(others, 0o2777);
      for (const [index, directory] of [source, others, path.join(others, 'below')].entries()) {
        fill(directory);
        for (const mode of [0o000, 0o700, 0o755, 0o777, 0o1777, 0o2755, 0o070]) {
          const below = path.join(directory, `d-${mode.toString(8)}`);
          mkdirSync(below);
          writeFileSync(path.join(below, 'file'), '');
          symlinkSync('file', path.join(below, 'link'));
          mkdirSync(path.join(below, 'below'));
          chownSync(below, index, index);
          chmodSync(below, mode);
        }
        for (const mode of [0o000, 0o444, 0o600, 0o644, 0o666, 0o755, 0o777, 0o4755, 0o2755, 0o1644]) {
          for (const group of [0, index]) {
            const file = path.join(directory, `${mode.toString(8)}-${group}`);
            writeFileSync(file, file);
            chownSync(file, 0, group);
            chmodSync(file, mode);
          }
        }
      }
    });

    it('nothing', async () => {
      const mask = process.umask(0);
      await copy().finally(() => process.umask(mask));
      assertSame();
    });

    it('a mask', async () => {
      const mask = process.umask(0o077);
      await copy().finally(() => process.umask(mask));
      assertSame();
    });

    it('a group of their directory', async () => {
      chownSync(target, 0, 1);
      chmodSync(target, 0o2755);
      await copy();
      assertSame();
    });

    it('a list of their directory', async () => {
      // acl(5) as the kernel keeps it: u::rw-, g::r--, o::---.
      const entries = ['01000600ffffffff', '04000400ffffffff', '20000000ffffffff'];
      const list = Buffer.from(`02000000${entries.join('')}`, 'hex');
      openKernel().lsetXattr(target, 'system.posix_acl_default', list);
      await copy();
      assertSame();
    });
  });

  it('are whole, however many directories and large files there are', async () => {
    for (let count = 0; count < 1200; count += 1) mkdirSync(path.join(source, `directory-${count}`));
    for (let count = 0; count < 20; count += 1)
      writeFileSync(path.join(source, `${count}`), Buffer.alloc(1_100_000, `${count}.`));
    await copy();
    assertSame();
  });

  describe('by two threads', () => {
    let second: SecondThread;
    beforeEach(() => {
      second = new SecondThread();
    });
    afterEach(() => second[Symbol.dispose]());

    /** Enough for both. */
    function fillDirectories(): void {
      for (let count = 0; count < 200; count += 1) {
        const directory = path.join(source, `${count % 7}`, `${count}`);
        mkdirSync(directory, { recursive: true });
        for (const name of ['one', 'two']) writeFileSync(path.join(directory, name), `${count} ${name}`);
        linkSync(path.join(directory, 'one'), path.join(source, `of-${count}`));
        openKernel().utimensAt(AT_FDCWD, directory, ...TIMES, 0);
      }
      for (const count of [1, 2, 3]) fill(path.join(source, `${count}`));
      for (const name of ['1', '2', ''])
        openKernel().utimensAt(AT_FDCWD, path.join(source, name), ...TIMES, 0);
    }

    /** So that the second thread has its part in it. */
    async function started(): Promise<void> {
      await copyTree(source, target, openKernel(), OPTIONS, second);
      for (const name of readdirSync(target)) rmSync(path.join(target, name), { recursive: true });
    }

    it('are the same, one after the other', async () => {
      await started();
      fillDirectories();
      for (const round of [1, 2]) {
        target = path.join(base, `target-${round}`);
        mkdirSync(target);
        await copyTree(source, target, openKernel(), OPTIONS, second);
        assertSame();
        assert.equal(lstatSync(path.join(target, 'of-9')).ino, lstatSync(path.join(target, '2/9/one')).ino);
      }
    });

    it('end with what one of them failed with', async () => {
      await started();
      fillDirectories();
      openKernel().mount('tmpfs', target, 'tmpfs', 0, 'size=64k');
      try {
        await assert.rejects(copyTree(source, target, openKernel(), OPTIONS, second), {
          code: 'write-failed',
          message: /^cannot write rootfs\/.*: no space left on device$/,
        });
      } finally {
        openKernel().umount2(target, MNT_DETACH);
      }
      const shifted = { ...OPTIONS, uidShift: 65_536, gidShift: 65_536, idCount: 4 };
      lchownSync(path.join(source, '3/10/two'), 4, 4);
      await assert.rejects(copyTree(source, target, openKernel(), shifted, second), {
        code: 'unsafe-entry',
      });
    });
  });

  it('have no directory that others may write to before it is whole', async () => {
    const modes = [0o755, 0o777, 0o775, 0o757, 0o1777, 0o2775, 0o700, 0o000];
    for (const mode of modes) {
      const directory = path.join(source, mode.toString(8));
      mkdirSync(path.join(directory, 'below'), { recursive: true });
      chmodSync(directory, mode);
    }
    const kernel = openKernel();
    const made: number[] = [];
    const mask = process.umask(0);
    await copy({
      ...kernel,
      mkdirAt(directory, name, mode) {
        kernel.mkdirAt(directory, name, mode);
        made.push(kernel.statAt(directory, name, AT_SYMLINK_NOFOLLOW).mode);
      },
    }).finally(() => process.umask(mask));
    assert.equal(made.length, 2 * modes.length);
    assert.deepEqual(
      made.filter((mode) => (mode & 0o022) !== 0),
      [],
    );
    assertSame();
  });

  describe('are not led out of their target by a link that somebody puts into it', () => {
    let outside: string;
    beforeEach(() => {
      outside = path.join(base, 'outside');
      mkdirSync(path.join(outside, 'below'), { recursive: true });
      mkdirSync(path.join(source, 'open/moved/below'), { recursive: true });
      chmodSync(path.join(source, 'open'), 0o777);
    });

    /** Moves a directory away, and a link to the outside into its place, before the first call with such a name. */
    async function attack(call: 'openAt2' | 'linkAt', name: string): Promise<void> {
      const kernel = openKernel();
      const moved = path.join(target, 'open/moved');
      const swap = (asked: Parameters<Kernel['openAt2']>[1]): void => {
        if (asked.toString() !== name || existsSync(`${moved}.away`) || !existsSync(moved)) return;
        renameSync(moved, `${moved}.away`);
        symlinkSync(outside, moved);
      };
      await assert.rejects(
        copy({
          ...kernel,
          openAt2(directory, asked, how) {
            if (call === 'openAt2') swap(asked);
            return kernel.openAt2(directory, asked, how);
          },
          linkAt(from, asked, to, as, flags) {
            if (call === 'linkAt') swap(asked);
            kernel.linkAt(from, asked, to, as, flags);
          },
        }),
        {
          code: 'write-failed',
          message:
            /^cannot write rootfs\/open\/moved.*: (too many levels of symbolic links|not a directory)$/,
        },
      );
      assert.deepEqual(readdirSync(outside), ['below']);
      assert.deepEqual(readdirSync(path.join(outside, 'below')), []);
    }

    it('a directory', async () => {
      writeFileSync(path.join(source, 'open/moved/below/file'), 'content');
      await attack('openAt2', 'open/moved/below');
    });

    it('a large file', async () => {
      writeFileSync(path.join(source, 'open/moved/large'), Buffer.alloc(LARGE));
      await attack('openAt2', 'open/moved/large');
    });

    it('a further name of a file', async () => {
      for (const name of ['open/moved/one', 'open/moved/two'])
        symlinkSync('nowhere', path.join(source, name));
      linkSync(path.join(source, 'open/moved/one'), path.join(source, 'a name'));
      linkSync(path.join(source, 'open/moved/two'), path.join(source, 'b name'));
      await attack('linkAt', 'a name');
    });
  });

  it('are the same where the kernel does not copy', async () => {
    fill(source);
    const without: Kernel = {
      ...openKernel(),
      copyFileRange() {
        throw new KernelError('copy_file_range', 18);
      },
    };
    await copy(without);
    assertSame();
  });

  it('have their owners moved, and refuse those who have no place', async () => {
    writeFileSync(path.join(source, 'small'), 'x');
    symlinkSync('x', path.join(source, 'link'));
    chownSync(path.join(source, 'small'), 1, 65_535);
    await copy(openKernel(), { uidShift: 65_536, gidShift: 131_072, idCount: 65_536 });
    const owners = ['', 'small', 'link'].map((name) => lstatSync(path.join(target, name)));
    assert.deepEqual(
      owners.map(({ uid, gid }) => [uid, gid]),
      [
        [65_536, 131_072],
        [65_537, 196_607],
        [65_536, 131_072],
      ],
    );
    rmSync(target, { recursive: true });
    mkdirSync(target);
    chownSync(path.join(source, 'small'), 65_536, 0);
    await assert.rejects(
      copy(openKernel(), { uidShift: 65_536, gidShift: 65_536, idCount: 65_536 }),
      /entry small: uid 65536 is not in the range/,
    );
  });

  it('have links for what stays in the source, wherever both are moved', async () => {
    mkdirSync(path.join(source, 'lib/programs'), { recursive: true });
    writeFileSync(path.join(source, 'lib/programs/tool'), 'tool');
    writeFileSync(path.join(source, 'lib/program'), 'program');
    linkSync(path.join(source, 'lib/program'), path.join(source, 'lib/same'));
    await copy(openKernel(), {
      linked: new Set(['lib/program', 'lib/programs', 'lib/missing']),
      uidShift: 65_536,
      gidShift: 65_536,
    });
    assert.ok(lstatSync(path.join(target, 'lib/program')).isSymbolicLink());
    assert.ok(lstatSync(path.join(target, 'lib/programs')).isSymbolicLink());
    assert.equal(lstatSync(path.join(target, 'lib/program')).uid, 65_536);
    assert.equal(lstatSync(path.join(source, 'lib/program')).uid, 0);
    assert.ok(lstatSync(path.join(target, 'lib/same')).isFile());
    assert.ok(!existsSync(path.join(target, 'lib/missing')));
    const moved = `${base}-moved`;
    renameSync(base, moved);
    base = moved;
    for (const name of ['lib/program', 'lib/programs/tool'])
      assert.equal(readFileSync(path.join(moved, 'target', name), 'utf8'), path.basename(name));
  });

  it('say what could not be written', async () => {
    writeFileSync(path.join(source, 'small'), 'x');
    writeFileSync(path.join(target, 'small'), 'in the way');
    await assert.rejects(copy(), /cannot write rootfs\/small: file exists/);
    assert.equal(readFileSync(path.join(target, 'small'), 'utf8'), 'in the way');
  });

  it('say which file the disk had no room for, large or small', async () => {
    for (const [name, sizeBytes] of [
      ['large', 2_000_000],
      ['small', 100_000],
    ] as const) {
      openKernel().mount('tmpfs', target, 'tmpfs', 0, 'size=64k');
      try {
        writeFileSync(path.join(source, name), Buffer.alloc(sizeBytes, 'x'));
        await assert.rejects(copy(), {
          code: 'write-failed',
          message: `cannot write rootfs/${name}: no space left on device`,
        });
        rmSync(path.join(source, name));
      } finally {
        openKernel().umount2(target, MNT_DETACH);
      }
    }
  });

  it('pass on that a large file could not be described', async () => {
    writeFileSync(path.join(source, 'large'), Buffer.alloc(LARGE));
    openKernel().lsetXattr(path.join(source, 'large'), 'user.name', Buffer.from('value'));
    const failing: Kernel = {
      ...openKernel(),
      fgetXattr() {
        throw new KernelError('getxattr', 5);
      },
    };
    await assert.rejects(copy(failing), /cannot write rootfs\/large: input\/output error/);
  });

  it('of users who are not root have all but owners and devices', async () => {
    mkdirSync(path.join(source, 'closed/below'), { recursive: true });
    fill(path.join(source, 'closed/below'));
    for (const name of ['closed/below', 'closed']) chmodSync(path.join(source, name), 0o500);
    const warnings: string[] = [];
    await copy(openKernel(), { privileged: false, warn: (message: string) => void warnings.push(message) });
    assert.deepEqual(warnings.map((line) => line.replace(/:.*/, '')).sort(), [
      'file capabilities of closed/below/capable and others are left out',
      'skipping device node closed/below/disk',
      'skipping device node closed/below/null',
    ]);
    for (const name of ['closed', 'closed/below', 'closed/below/large', 'closed/below/pipe']) {
      const [ours, theirs] = [target, source].map((root) => lstatSync(path.join(root, name)));
      assert.equal(ours?.mode, theirs?.mode, name);
    }
    assert.equal(lstatSync(path.join(target, 'closed/below/small')).uid, 0);
  });
});
