// File calls relative to a directory descriptor, over libc. Unpacking makes about ten of these for each archive
// entry, so they reuse one scratch buffer each and allocate nothing. Runs wherever the kernel is opened.

import { readdirSync, statfsSync } from 'node:fs';

import { MFD_CLOEXEC, O_CLOEXEC } from '../constants.ts';
import { KernelError, withKernelErrors } from '../errno.ts';
import {
  check,
  checkTwo,
  firstPath,
  lastErrno,
  lazySymbol,
  lazySyscall,
  secondPath,
  syscallNumber,
} from '../ffi.ts';
import type { DirectoryEntry, FileCalls, FileStatus, FileTime } from '../kernel.ts';

const EINTR = 4;
const EAGAIN = 11;
const EINVAL = 22;
const ENOSYS = 38;

// One table for all architectures since kernel 5.1.
const SYS_CLOSE_RANGE = 436n;
const SYS_OPENAT2 = 437n;
const SYS_FCHMODAT2 = 452n;

const closeRange = lazySyscall({ arguments: ['i64', 'u32', 'u32', 'u32'], return: 'i32' });
const openat2 = lazySyscall({ arguments: ['i64', 'i32', 'pointer', 'pointer', 'u64'], return: 'i32' });
const fchmodat2 = lazySyscall({ arguments: ['i64', 'i32', 'pointer', 'u32', 'u32'], return: 'i32' });
// glibc exports mknodat since 2.33 and getdents64 since 2.30 only.
const mknodat = lazySyscall({ arguments: ['i64', 'i32', 'pointer', 'u32', 'u32'], return: 'i32' });
const getdents64 = lazySyscall({ arguments: ['i64', 'i32', 'pointer', 'u64'], return: 'i32' });
const inotifyInit = lazySymbol('inotify_init1', { arguments: ['i32'], return: 'i32' });
const dup2 = lazySymbol('dup2', { arguments: ['i32', 'i32'], return: 'i32' });
const mkdirat = lazySymbol('mkdirat', { arguments: ['i32', 'pointer', 'u32'], return: 'i32' });
const symlinkat = lazySymbol('symlinkat', { arguments: ['pointer', 'i32', 'pointer'], return: 'i32' });
const linkat = lazySymbol('linkat', {
  arguments: ['i32', 'pointer', 'i32', 'pointer', 'i32'],
  return: 'i32',
});
const unlinkat = lazySymbol('unlinkat', { arguments: ['i32', 'pointer', 'i32'], return: 'i32' });
const renameat2 = lazySymbol('renameat2', {
  arguments: ['i32', 'pointer', 'i32', 'pointer', 'u32'],
  return: 'i32',
});
const readlinkat = lazySymbol('readlinkat', {
  arguments: ['i32', 'pointer', 'pointer', 'u64'],
  return: 'i64',
});
const fchownat = lazySymbol('fchownat', {
  arguments: ['i32', 'pointer', 'u32', 'u32', 'i32'],
  return: 'i32',
});
const fchmodat = lazySymbol('fchmodat', { arguments: ['i32', 'pointer', 'u32', 'i32'], return: 'i32' });
const utimensat = lazySymbol('utimensat', { arguments: ['i32', 'pointer', 'pointer', 'i32'], return: 'i32' });
const futimens = lazySymbol('futimens', { arguments: ['i32', 'pointer'], return: 'i32' });
const statx = lazySymbol('statx', { arguments: ['i32', 'pointer', 'i32', 'u32', 'pointer'], return: 'i32' });
const syncfs = lazySymbol('syncfs', { arguments: ['i32'], return: 'i32' });
const syncFileRange = lazySymbol('sync_file_range', {
  arguments: ['i32', 'i64', 'i64', 'u32'],
  return: 'i32',
});
const flock = lazySymbol('flock', { arguments: ['i32', 'i32'], return: 'i32' });
const fcntl = lazySymbol('fcntl', { arguments: ['i32', 'i32', 'i32'], return: 'i32' });
// A function of libc since 2.27 only; the number differs.
const copyFileRange = lazySyscall({
  arguments: ['i64', 'i32', 'pointer', 'i32', 'pointer', 'u64', 'u32'],
  return: 'i64',
});
const lseek = lazySymbol('lseek', { arguments: ['i32', 'i64', 'i32'], return: 'i64' });
const memfdCreate = lazySymbol('memfd_create', { arguments: ['pointer', 'u32'], return: 'i32' });

const AT_SYMLINK_NOFOLLOW = 0x100;
const SYNC_FILE_RANGE_WRITE = 2;
const F_SETFD = 2;
const FD_CLOEXEC = 1;
const CLOSE_RANGE_CLOEXEC = 4;
const F_ADD_SEALS = 1033;
const F_GET_SEALS = 1034;

// struct open_how: flags, mode, resolve, 64 bits each; all our values fit the low half.
const openHow = new Uint32Array(6);
const OPEN_HOW_SIZE = 24n;
// The kernel gives up with EAGAIN when a rename anywhere raced with `..`; more tries than any honest load needs.
const OPEN_TRIES = 128;

const linkTarget = Buffer.allocUnsafeSlow(4096);

// struct timespec[2]
const times = new BigInt64Array(4);
const timeWords = new Int32Array(times.buffer);
const UTIME_OMIT = 0x3ffffffen;
const NS_PER_SECOND = 1_000_000_000n;

// struct statx, and its 32-bit words: a copy of a tree reads one for each file.
const status = Buffer.allocUnsafeSlow(256);
const statusWords = new Uint32Array(status.buffer);
const STATUS = {
  attributes: 2,
  linkCount: 4,
  uid: 5,
  gid: 6,
  mode: 7,
  inode: 8,
  size: 10,
  blocks: 12,
  attributesMask: 14,
  atime: 16,
  ctime: 24,
  mtime: 28,
  rdevMajor: 32,
  rdevMinor: 33,
  deviceMajor: 34,
  deviceMinor: 35,
} as const;
const WORD = 2 ** 32;
const STATX_BASIC_STATS = 0x7ff;
const STATX_ATTR_MOUNT_ROOT = 0x2000;

const fromOffset = new BigInt64Array(1);
const toOffset = new BigInt64Array(1);

let fchmodat2Missing = false;

/** The file calls of the real kernel. */
export const fileCalls: FileCalls = {
  openAt2(dirFd, path, { flags, mode = 0, resolve = 0 }) {
    openHow[0] = flags | O_CLOEXEC;
    openHow[2] = mode;
    openHow[4] = resolve;
    const name = firstPath(path, 'openat2');
    for (let tries = 1; ; tries += 1) {
      const fd = openat2()(SYS_OPENAT2, dirFd, name, openHow, OPEN_HOW_SIZE);
      if (fd !== -1) return fd;
      const errno = lastErrno();
      if ((errno === EAGAIN && tries < OPEN_TRIES) || errno === EINTR) continue;
      throw new KernelError('open', errno, {
        path,
        ...(errno === ENOSYS ? { hint: 'rkt needs openat2: Linux 5.6 or later' } : {}),
      });
    }
  },
  mkdirAt(dirFd, path, mode) {
    check(mkdirat()(dirFd, firstPath(path, 'mkdir'), mode), 'mkdir', path);
  },
  mknodAt(dirFd, path, mode, major, minor) {
    const name = firstPath(path, 'mknod');
    const number = syscallNumber(259n, 33n);
    check(mknodat()(number, dirFd, name, mode, deviceNumber(major, minor, path)), 'mknod', path);
  },
  symlinkAt(target, dirFd, path) {
    const result = symlinkat()(firstPath(target, 'symlink'), dirFd, secondPath(path, 'symlink'));
    check(result, 'symlink', path);
  },
  linkAt(oldDirFd, oldPath, newDirFd, newPath, flags) {
    const result = linkat()(
      oldDirFd,
      firstPath(oldPath, 'link'),
      newDirFd,
      secondPath(newPath, 'link'),
      flags,
    );
    checkTwo(result, 'link', oldPath, newPath);
  },
  unlinkAt(dirFd, path, flags) {
    check(unlinkat()(dirFd, firstPath(path, 'unlink'), flags), 'unlink', path);
  },
  renameAt2(oldDirFd, oldPath, newDirFd, newPath, flags) {
    const from = firstPath(oldPath, 'rename');
    const to = secondPath(newPath, 'rename');
    checkTwo(renameat2()(oldDirFd, from, newDirFd, to, flags), 'rename', oldPath, newPath);
  },
  readlinkAt(dirFd, path) {
    return linkTarget.toString('utf8', 0, readLink(dirFd, path));
  },
  readlinkBytesAt(dirFd, path) {
    return Buffer.from(linkTarget.subarray(0, readLink(dirFd, path)));
  },
  fchownAt(dirFd, path, uid, gid, flags) {
    check(fchownat()(dirFd, firstPath(path, 'chown'), uid >>> 0, gid >>> 0, flags), 'chown', path);
  },
  fchmodAt(dirFd, path, mode) {
    const name = firstPath(path, 'chmod');
    if (!fchmodat2Missing) {
      // Kernel 6.6. Where it is missing, libc opens the file with O_PATH and goes through /proc/self/fd.
      if (fchmodat2()(SYS_FCHMODAT2, dirFd, name, mode, AT_SYMLINK_NOFOLLOW) === 0) return;
      const errno = lastErrno();
      if (errno !== ENOSYS) throw new KernelError('chmod', errno, { path });
      fchmodat2Missing = true;
    }
    check(fchmodat()(dirFd, name, mode, AT_SYMLINK_NOFOLLOW), 'chmod', path);
  },
  utimensAt(dirFd, path, atime, mtime, flags) {
    setTime(0, atime);
    setTime(2, mtime);
    // libc refuses utimensat without a name, though the kernel takes it.
    if (path === null) check(futimens()(dirFd, times), 'utimensat');
    else check(utimensat()(dirFd, firstPath(path, 'utimensat'), times, flags), 'utimensat', path);
  },
  statAt(dirFd, path, flags) {
    check(statx()(dirFd, firstPath(path, 'stat'), flags, STATX_BASIC_STATS, status), 'stat', path);
    return readStatus();
  },
  statFs(path) {
    const found = withKernelErrors(path, () =>
      statfsSync(typeof path === 'string' ? path : Buffer.from(path), { bigint: true }),
    );
    return {
      type: found.type,
      blockSize: found.bsize,
      blocks: found.blocks,
      freeBlocks: found.bfree,
      availableBlocks: found.bavail,
      files: found.files,
      freeFiles: found.ffree,
    };
  },
  startWriting(fd) {
    check(syncFileRange()(fd, 0n, 0n, SYNC_FILE_RANGE_WRITE), 'sync_file_range');
  },
  syncFs(fd) {
    check(syncfs()(fd), 'syncfs');
  },
  readDirectoryOnce(fd) {
    const buffer = Buffer.alloc(32768);
    const number = syscallNumber(217n, 61n);
    const length = check(getdents64()(number, fd, buffer, BigInt(buffer.length)), 'getdents64');
    return directoryEntries(buffer.subarray(0, length));
  },
  flock(fd, operation) {
    while (flock()(fd, operation) === -1) {
      const errno = lastErrno();
      if (errno !== EINTR) throw new KernelError('flock', errno);
    }
  },
  inotifyInit() {
    return check(inotifyInit()(O_CLOEXEC), 'inotify_init1');
  },
  duplicateTo(fd, target) {
    check(dup2()(fd, target), 'dup2');
  },
  setCloseOnExec(fd, on) {
    // FD_CLOEXEC is the only descriptor flag there is.
    check(fcntl()(fd, F_SETFD, on ? FD_CLOEXEC : 0), 'fcntl');
  },
  setCloseOnExecFrom(firstFd) {
    if (closeRange()(SYS_CLOSE_RANGE, firstFd, 0xffff_ffff, CLOSE_RANGE_CLOEXEC) === 0) return;
    // The call is of kernel 5.9, its flag of 5.11.
    const errno = lastErrno();
    if (errno !== ENOSYS && errno !== EINVAL) throw new KernelError('close_range', errno);
    for (const name of readdirSync('/proc/self/fd')) {
      // The descriptor that listed the directory is in the list and closed by now; node set it close-on-exec anyway.
      if (Number(name) >= firstFd) fcntl()(Number(name), F_SETFD, FD_CLOEXEC);
    }
  },
  copyFileRange(fromFd, fromPosition, toFd, toPosition, length) {
    const number = syscallNumber(326n, 285n);
    for (;;) {
      fromOffset[0] = BigInt(fromPosition);
      toOffset[0] = BigInt(toPosition);
      const copied = copyFileRange()(number, fromFd, fromOffset, toFd, toOffset, BigInt(length), 0);
      if (copied !== -1n) return Number(copied);
      const errno = lastErrno();
      if (errno !== EINTR) throw new KernelError('copy_file_range', errno);
    }
  },
  seek(fd, offset, whence) {
    const position = lseek()(fd, BigInt(offset), whence);
    if (position === -1n) throw new KernelError('lseek', lastErrno());
    return Number(position);
  },
  memfdCreate(name, flags) {
    return check(memfdCreate()(firstPath(name, 'memfd_create'), flags | MFD_CLOEXEC), 'memfd_create', name);
  },
  addSeals(fd, seals) {
    check(fcntl()(fd, F_ADD_SEALS, seals), 'fcntl');
  },
  getSeals(fd) {
    return check(fcntl()(fd, F_GET_SEALS, 0), 'fcntl');
  },
};

function readLink(dirFd: number, path: string | Uint8Array): number {
  const name = firstPath(path, 'readlink');
  return check(Number(readlinkat()(dirFd, name, linkTarget, BigInt(linkTarget.length))), 'readlink', path);
}

// The kernel's 32-bit form (new_encode_dev in linux/kdev_t.h): 12 bits of major, 20 of minor.
function deviceNumber(major: number, minor: number, path: string | Uint8Array): number {
  if (major < 0 || major > 0xfff || minor < 0 || minor > 0xfffff) {
    throw new KernelError('mknod', EINVAL, { path, text: `device number ${major}:${minor} is out of range` });
  }
  return ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0;
}

function setTime(index: number, time: bigint | FileTime | null): void {
  if (time === null) {
    times[index] = 0n;
    times[index + 1] = UTIME_OMIT;
    return;
  }
  if (typeof time !== 'bigint') {
    timeWords[2 * index] = time.seconds;
    timeWords[2 * index + 1] = Math.floor(time.seconds / WORD);
    timeWords[2 * index + 2] = time.nanoseconds;
    timeWords[2 * index + 3] = 0;
    return;
  }
  let seconds = time / NS_PER_SECOND;
  let rest = time % NS_PER_SECOND;
  // Before 1970 the division rounds towards zero, while tv_nsec counts forwards.
  if (rest < 0n) {
    seconds -= 1n;
    rest += NS_PER_SECOND;
  }
  times[index] = seconds;
  times[index + 1] = rest;
}

function readStatus(): FileStatus {
  return {
    mode: word(STATUS.mode) & 0xffff,
    linkCount: word(STATUS.linkCount),
    uid: word(STATUS.uid),
    gid: word(STATUS.gid),
    inode: status.readBigUInt64LE(4 * STATUS.inode),
    sizeBytes: word(STATUS.size) + word(STATUS.size + 1) * WORD,
    blocks: word(STATUS.blocks) + word(STATUS.blocks + 1) * WORD,
    atime: timeAt(STATUS.atime),
    ctime: timeAt(STATUS.ctime),
    mtime: timeAt(STATUS.mtime),
    rdevMajor: word(STATUS.rdevMajor),
    rdevMinor: word(STATUS.rdevMinor),
    deviceMajor: word(STATUS.deviceMajor),
    deviceMinor: word(STATUS.deviceMinor),
    // stx_attributes, valid where stx_attributes_mask says so.
    mountRoot: (word(STATUS.attributes) & word(STATUS.attributesMask) & STATX_ATTR_MOUNT_ROOT) !== 0,
  };
}

function word(index: number): number {
  return statusWords[index] as number;
}

// struct statx_timestamp: seconds have 64 bits and a sign.
function timeAt(index: number): FileTime {
  return {
    seconds: word(index) + (word(index + 1) | 0) * WORD,
    nanoseconds: word(index + 2),
  };
}

// struct linux_dirent64: d_ino (8), d_off (8), d_reclen (2), d_type (1), d_name up to a NUL.
function directoryEntries(buffer: Buffer): DirectoryEntry[] {
  const entries: DirectoryEntry[] = [];
  for (let offset = 0; offset < buffer.length; offset += buffer.readUInt16LE(offset + 16)) {
    const name = buffer.subarray(offset + 19, buffer.indexOf(0, offset + 19));
    entries.push({ name, type: buffer.readUInt8(offset + 18) });
  }
  return entries;
}
