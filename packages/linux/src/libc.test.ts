// The calls on files, processes and limits of the real kernel. Those that change this process run in fixtures.

import assert from 'node:assert/strict';
import {
  closeSync,
  lstatSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { runs } from '@rkt/property-runs/runs';
import fc from 'fast-check';

import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_REMOVEDIR,
  AT_SYMLINK_NOFOLLOW,
  capabilityNames,
  capabilityNumber,
  capabilitySet,
  F_SEAL_SEAL,
  F_SEAL_WRITE,
  MFD_ALLOW_SEALING,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_PATH,
  O_WRONLY,
  RENAME_NOREPLACE,
  RLIMIT_CORE,
  RLIMIT_NOFILE,
  S_IFCHR,
  S_IFIFO,
  S_IFMT,
  SIGKILL,
  XATTR_CREATE,
} from './constants.ts';
import type { FileTime } from './kernel.ts';
import { openKernel } from './libc.ts';

const isRoot = process.getuid?.() === 0;

function nanoseconds({ seconds, nanoseconds: rest }: FileTime): bigint {
  return BigInt(seconds) * 1_000_000_000n + BigInt(rest);
}

describe('libc', () => {
  const kernel = openKernel();
  let directory = '';
  let dir = -1;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'rkt-libc-'));
    dir = openSync(directory, 'r');
  });
  afterEach(() => {
    closeSync(dir);
    rmSync(directory, { recursive: true });
  });

  it('is opened once', () => {
    assert.equal(openKernel(), kernel);
  });

  describe('files at a directory', () => {
    it('makes, renames, links and removes', () => {
      kernel.mkdirAt(dir, 'd', 0o750);
      const fd = kernel.openAt2(dir, 'd/f', { flags: O_WRONLY | O_CREAT | O_EXCL, mode: 0o640 });
      closeSync(fd);
      kernel.linkAt(dir, 'd/f', dir, 'hard', 0);
      assert.equal(kernel.statAt(dir, 'hard', 0).linkCount, 2);
      kernel.renameAt2(dir, 'hard', dir, 'moved', RENAME_NOREPLACE);
      assert.throws(() => kernel.renameAt2(dir, 'moved', dir, 'd', RENAME_NOREPLACE), {
        code: 'EEXIST',
        message: 'rename moved -> d: file exists',
      });
      kernel.unlinkAt(dir, 'moved', 0);
      assert.throws(() => kernel.unlinkAt(dir, 'd', AT_REMOVEDIR), { code: 'ENOTEMPTY' });
      assert.deepEqual(readdirSync(directory), ['d']);
    });
    it('opens everything close-on-exec', () => {
      const fd = kernel.openAt2(AT_FDCWD, directory, { flags: O_PATH | O_DIRECTORY });
      const flags = (): number =>
        parseInt(/^flags:\t(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))?.[1] ?? '', 8);
      assert.equal(flags() & O_CLOEXEC, O_CLOEXEC);
      kernel.setCloseOnExec(fd, false);
      assert.equal(flags() & O_CLOEXEC, 0);
      kernel.setCloseOnExecFrom(fd);
      assert.equal(flags() & O_CLOEXEC, O_CLOEXEC);
      closeSync(fd);
    });
    it('keeps symbolic link targets as they are, also as bytes', () => {
      kernel.symlinkAt('/abs/../x', dir, 'l');
      assert.equal(kernel.readlinkAt(dir, 'l'), '/abs/../x');
      const latin1 = Buffer.from('caf\xe9', 'latin1');
      kernel.symlinkAt(latin1, dir, latin1);
      assert.deepEqual(kernel.readlinkBytesAt(dir, latin1), latin1);
      const fd = kernel.openAt2(dir, latin1, { flags: O_PATH | O_NOFOLLOW });
      assert.deepEqual(kernel.readlinkBytesAt(fd, ''), latin1);
      closeSync(fd);
    });
    it('stores any name of any bytes (property)', () => {
      const name = fc.uint8Array({ minLength: 1, maxLength: 255 }).filter((bytes) => {
        const text = Buffer.from(bytes).toString('latin1');
        return !/[\0/]/.test(text) && text !== '.' && text !== '..';
      });
      fc.assert(
        fc.property(name, (bytes) => {
          kernel.mkdirAt(dir, bytes, 0o755);
          const found = readdirSync(directory, { encoding: 'buffer' });
          kernel.unlinkAt(dir, bytes, AT_REMOVEDIR);
          return found.length === 1 && Buffer.compare(found[0] as Buffer, bytes) === 0;
        }),
        { numRuns: runs(50) },
      );
    });
    it('sets times to the nanosecond, before 1970 and one alone', () => {
      writeFileSync(join(directory, 'f'), '');
      for (const ns of [
        0n,
        1n,
        -1n,
        -1_500_000_000n,
        1_700_000_000_123_456_789n,
        -2_147_483_648_000_000_000n,
      ]) {
        kernel.utimensAt(dir, 'f', null, ns, 0);
        assert.equal(nanoseconds(kernel.statAt(dir, 'f', 0).mtime), ns);
        // As they were found, for a copy.
        kernel.utimensAt(dir, 'f', null, kernel.statAt(dir, 'f', 0).mtime, 0);
        assert.equal(statSync(join(directory, 'f'), { bigint: true }).mtimeNs, ns);
      }
      const fd = openSync(join(directory, 'f'), 'r');
      kernel.utimensAt(fd, null, 5n, null, 0);
      closeSync(fd);
      const status = kernel.statAt(dir, 'f', 0);
      assert.deepEqual([status.atime, status.mtime].map(nanoseconds), [5n, -2_147_483_648_000_000_000n]);
    });
    it('sees what stat sees', () => {
      writeFileSync(join(directory, 'f'), 'four');
      kernel.fchmodAt(dir, 'f', 0o4751);
      const mine = kernel.statAt(dir, 'f', 0);
      const theirs = statSync(join(directory, 'f'), { bigint: true });
      assert.deepEqual(
        [
          mine.mode,
          mine.linkCount,
          mine.uid,
          mine.gid,
          mine.inode,
          mine.sizeBytes,
          nanoseconds(mine.mtime),
          nanoseconds(mine.ctime),
        ],
        [0o104751, 1, process.getuid?.(), process.getgid?.(), theirs.ino, 4, theirs.mtimeNs, theirs.ctimeNs],
      );
      assert.equal(BigInt((mine.deviceMajor << 8) | mine.deviceMinor), theirs.dev);
      assert.equal(mine.mountRoot, false);
      assert.equal(kernel.statAt(AT_FDCWD, '/proc', 0).mountRoot, true);
      assert.equal(kernel.statAt(dir, '', AT_EMPTY_PATH).inode, statSync(directory, { bigint: true }).ino);
    });
    it('changes modes of files, never through a symbolic link', () => {
      writeFileSync(join(directory, 'f'), '', { mode: 0o600 });
      kernel.symlinkAt('f', dir, 'l');
      assert.throws(() => kernel.fchmodAt(dir, 'l', 0o777), {
        code: 'EOPNOTSUPP',
        message: 'chmod l: operation not supported',
      });
      kernel.fchmodAt(dir, 'f', 0o3711);
      assert.equal(statSync(join(directory, 'f')).mode & 0o7777, 0o3711);
    });
    it('makes devices, fifos and owners', function () {
      if (!isRoot) this.skip();
      kernel.mknodAt(dir, 'dev', S_IFCHR | 0o600, 259, 1048575);
      kernel.mknodAt(dir, 'fifo', S_IFIFO | 0o644, 0, 0);
      const device = kernel.statAt(dir, 'dev', 0);
      assert.deepEqual([device.mode & S_IFMT, device.rdevMajor, device.rdevMinor], [S_IFCHR, 259, 1048575]);
      assert.ok(lstatSync(join(directory, 'fifo')).isFIFO());
      assert.throws(() => kernel.mknodAt(dir, 'x', S_IFCHR, 4096, 0), { code: 'EINVAL' });
      kernel.symlinkAt('nowhere', dir, 'l');
      kernel.fchownAt(dir, 'l', 65534, 4_294_967_294, AT_SYMLINK_NOFOLLOW);
      kernel.fchownAt(dir, 'l', -1, 7, AT_SYMLINK_NOFOLLOW);
      const link = lstatSync(join(directory, 'l'));
      assert.deepEqual([link.uid, link.gid], [65534, 7]);
    });
    it('reports directory entries with their types', () => {
      kernel.mkdirAt(dir, 'sub', 0o755);
      kernel.symlinkAt('x', dir, 'link');
      const entries = kernel.readDirectoryOnce(dir).map(({ name, type }) => `${name.toString()} ${type}`);
      assert.deepEqual(entries.sort(), ['. 4', '.. 4', 'link 10', 'sub 4']);
    });
    it('knows file systems and writes them out', () => {
      assert.ok(kernel.statFs('/proc').type === 0x9fa0n);
      assert.throws(() => kernel.statFs(join(directory, 'no')), { name: 'KernelError', code: 'ENOENT' });
      kernel.syncFs(dir);
    });
    it('starts processes that no signal makes run handlers of ours', () => {
      const blocked = (process: string): string | undefined =>
        /^SigBlk:\s+(.*)$/m.exec(readFileSync(`/proc/${process}/status`, 'utf8'))?.[1];
      const before = blocked('thread-self');
      const child = kernel.cloneSleeper(0, 10);
      // All but those of the kernel and of libc: 9 and 19, 32 and 33.
      const childs = blocked(String(child));
      kernel.kill(child, SIGKILL);
      kernel.waitPid(child);
      assert.throws(() => kernel.kill(child, 0), { code: 'ESRCH' });
      assert.equal(childs, 'fffffffe7ffbfeff');
      assert.equal(blocked('thread-self'), before);
    });
  });

  describe('names', () => {
    const refuse = (name: string | Buffer, code: string): void => {
      assert.throws(() => kernel.unlinkAt(dir, name, 0), { name: 'KernelError', code }, JSON.stringify(name));
    };
    it('with a NUL are an error, not a shorter name', () => {
      writeFileSync(join(directory, 'keep'), '');
      refuse('keep\0x', 'EINVAL');
      refuse(Buffer.from('keep\0'), 'EINVAL');
      assert.throws(() => kernel.mount('a', directory, 'tmpfs\0x', 0, null), { code: 'EINVAL' });
      assert.ok(statSync(join(directory, 'keep')).isFile());
    });
    it('too long for the kernel are refused before the call', () => {
      refuse('a/'.repeat(2048), 'ENAMETOOLONG');
      refuse('\u20ac'.repeat(1366), 'ENAMETOOLONG');
      refuse(Buffer.alloc(4096, 'a'), 'ENAMETOOLONG');
      refuse('x'.repeat(1_000_000), 'ENAMETOOLONG');
      refuse('./'.repeat(2047), 'EISDIR');
      refuse('a'.repeat(256), 'ENAMETOOLONG');
    });
    it('that are no Unicode text are refused as text', () => {
      refuse('a\ud800', 'EILSEQ');
    });
    it('too long as mount options are refused, not cut', () => {
      assert.throws(() => kernel.mount(null, directory, 'tmpfs', 0, 'x'.repeat(4096)), { code: 'E2BIG' });
    });
  });

  it('sets, reads and lists extended attributes', function () {
    const file = join(directory, 'f');
    writeFileSync(file, '');
    try {
      kernel.setXattr(file, 'user.a', Buffer.from('1'));
    } catch (error) {
      if ((error as { code?: string }).code === 'EOPNOTSUPP') this.skip();
      throw error;
    }
    const fd = openSync(file, 'r+');
    kernel.fsetXattr(fd, 'user.empty', Buffer.alloc(0));
    kernel.lsetXattr(file, Buffer.from('user.\xff', 'latin1'), Buffer.from([0, 255]));
    assert.throws(() => kernel.setXattr(file, 'user.a', Buffer.from('2'), XATTR_CREATE), { code: 'EEXIST' });
    assert.equal(kernel.getXattr(file, 'user.a').toString(), '1');
    assert.equal(kernel.fgetXattr(fd, 'user.empty').length, 0);
    assert.deepEqual(kernel.lgetXattr(file, Buffer.from('user.\xff', 'latin1')), Buffer.from([0, 255]));
    assert.throws(() => kernel.getXattr(file, 'user.none'), { code: 'ENODATA' });
    assert.equal(kernel.listXattr(file).length, 3);
    assert.equal(kernel.flistXattr(fd).length, 3);
    assert.ok(kernel.llistXattrBytes(file).some((name) => name.includes(0xff)));
    kernel.lremoveXattr(file, 'user.a');
    assert.ok(!kernel.llistXattr(file).includes('user.a'));
    closeSync(fd);
  });

  it('seals a file in memory', () => {
    const fd = kernel.memfdCreate('rkt', MFD_ALLOW_SEALING);
    writeFileSync(fd, 'x');
    kernel.addSeals(fd, F_SEAL_WRITE | F_SEAL_SEAL);
    assert.equal(kernel.getSeals(fd), F_SEAL_WRITE | F_SEAL_SEAL);
    assert.throws(() => writeFileSync(fd, 'y'), { code: 'EPERM' });
    closeSync(fd);
  });

  it('reads and sets limits', () => {
    const { soft, hard } = kernel.getRlimit(RLIMIT_CORE);
    kernel.setRlimit(RLIMIT_CORE, 0n, hard);
    assert.deepEqual(kernel.getRlimit(RLIMIT_CORE, process.pid), { soft: 0n, hard });
    kernel.setRlimit(RLIMIT_CORE, soft, hard);
    assert.throws(() => kernel.setRlimit(RLIMIT_NOFILE, 2n, 1n), { code: 'EINVAL' });
  });

  it('signals through a pid and a pidfd', () => {
    kernel.kill(process.pid, 0);
    const fd = kernel.pidfdOpen(process.pid);
    kernel.pidfdSendSignal(fd, 0);
    closeSync(fd);
    assert.throws(() => kernel.kill(2 ** 22 + 1, 0), { code: 'ESRCH' });
    assert.throws(() => kernel.pidfdOpen(2 ** 22 + 1), { code: 'ESRCH' });
  });

  it('reads capabilities as /proc shows them', () => {
    const shown = readFileSync('/proc/self/status', 'latin1');
    const set = (name: string): bigint =>
      BigInt(`0x${new RegExp(`^${name}:\\s+(\\w+)`, 'm').exec(shown)?.[1]}`);
    assert.deepEqual(kernel.capGet(), {
      effective: set('CapEff'),
      permitted: set('CapPrm'),
      inheritable: set('CapInh'),
    });
    assert.equal(kernel.boundingCapabilities(), set('CapBnd'));
    assert.equal(kernel.lastCapability(), Number(readFileSync('/proc/sys/kernel/cap_last_cap', 'latin1')));
    assert.equal(kernel.getNoNewPrivileges(), false);
  });

  it('reads errno right every time', () => {
    for (let round = 0; round < 20_000; round += 1) {
      try {
        if (round % 2 === 0) kernel.setCloseOnExec(-1, true);
        else kernel.unlinkAt(dir, 'missing', 0);
        assert.fail('no error');
      } catch (error) {
        assert.equal((error as { code: string }).code, round % 2 === 0 ? 'EBADF' : 'ENOENT');
      }
    }
  });
});

describe('capability names', () => {
  it('go both ways', () => {
    assert.equal(capabilityNumber('CAP_SYS_ADMIN'), 21);
    assert.equal(capabilityNumber('cap_chown'), 0);
    assert.equal(capabilityNumber('CAP_NOPE'), undefined);
    assert.deepEqual(capabilityNames(capabilitySet([0, 40])), ['CAP_CHOWN', 'CAP_CHECKPOINT_RESTORE']);
  });
});
