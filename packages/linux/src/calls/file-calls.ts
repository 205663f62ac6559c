// File calls relative to a directory descriptor, over libc. Unpacking makes about ten of these for each archive
// entry, so they reuse one scratch buffer each and allocate nothing. Runs wherever the kernel is opened.

import { readdirSync, statfsSync } from 'node:fs';

import { MFD_CLOEXEC, O_CLOEXEC } from '../constants.ts';
import { KernelError, withKernelErrors } from '../errno.ts';
import {
  check,
  checkTwo,
  firstPath,
  int,
  lastErrno,
  lazySymbol,
  Scratch,
  secondPath,
  syscallNumber,
  systemCall,
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
/** The highest number that a descriptor can have. */
const LAST_FD = 0xffff_ffffn;

const inotifyInit = lazySymbol('inotify_init1', 1);
const dup2 = lazySymbol('dup2', 2);
const mkdirat = lazySymbol('mkdirat', 3);
const symlinkat = lazySymbol('symlinkat', 3);
const linkat = lazySymbol('linkat', 5);
const unlinkat = lazySymbol('unlinkat', 3);
const renameat2 = lazySymbol('renameat2', 5);
const readlinkat = lazySymbol('readlinkat', 4);
const fchownat = lazySymbol('fchownat', 5);
const fchmodat = lazySymbol('fchmodat', 4);
const utimensat = lazySymbol('utimensat', 4);
const futimens = lazySymbol('futimens', 2);
const statx = lazySymbol('statx', 5);
const syncfs = lazySymbol('syncfs', 1);
const flock = lazySymbol('flock', 2);
const fcntl = lazySymbol('fcntl', 3);
const copyFileRange = lazySymbol('copy_file_range', 6);
const lseek = lazySymbol('lseek', 3, 'i64');
const memfdCreate = lazySymbol('memfd_create', 2);

const AT_SYMLINK_NOFOLLOW = 0x100n;
const F_SETFD = 2n;
const FD_CLOEXEC = 1n;
const CLOSE_RANGE_CLOEXEC = 4n;
const F_ADD_SEALS = 1033n;
const F_GET_SEALS = 1034n;

// struct open_how: flags, mode, resolve, 64 bits each; all our values fit the low half.
const openHow = new Scratch(new Uint32Array(6));
const OPEN_HOW_SIZE = 24n;
// The kernel gives up with EAGAIN when a rename anywhere raced with `..`; more tries than any honest load needs.
const OPEN_TRIES = 128;

const linkTarget = new Scratch(Buffer.allocUnsafeSlow(4096));

// struct timespec[2]
const times = new Scratch(new BigInt64Array(4));
const timeWords = new Int32Array(times.memory.buffer);
const UTIME_OMIT = 0x3ffffffen;
const NS_PER_SECOND = 1_000_000_000n;

// struct statx, and its 32-bit words: a copy of a tree reads one for each file.
const status = new Scratch(Buffer.allocUnsafeSlow(256));
const statusWords = new Uint32Array(status.memory.buffer);
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
const STATX_BASIC_STATS = 0x7ffn;
const STATX_ATTR_MOUNT_ROOT = 0x2000;

const fromOffset = new Scratch(new BigInt64Array(1));
const toOffset = new Scratch(new BigInt64Array(1));

let fchmodat2Missing = false;

/** The file calls of the real kernel. */
export const fileCalls: FileCalls = {
  openAt2(dirFd, path, { flags, mode = 0, resolve = 0 }) {
    openHow.memory[0] = flags | O_CLOEXEC;
    openHow.memory[2] = mode;
    openHow.memory[4] = resolve;
    const name = firstPath(path, 'openat2');
    for (let tries = 1; ; tries += 1) {
      const fd = systemCall(SYS_OPENAT2, int(dirFd), name, openHow.address, OPEN_HOW_SIZE);
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
    check(mkdirat()(int(dirFd), firstPath(path, 'mkdir'), int(mode)), 'mkdir', path);
  },
  mknodAt(dirFd, path, mode, major, minor) {
    const name = firstPath(path, 'mknod');
    const device = int(deviceNumber(major, minor, path));
    // glibc exports it since 2.33 only.
    check(systemCall(syscallNumber(259n, 33n), int(dirFd), name, int(mode), device), 'mknod', path);
  },
  symlinkAt(target, dirFd, path) {
    const result = symlinkat()(firstPath(target, 'symlink'), int(dirFd), secondPath(path, 'symlink'));
    check(result, 'symlink', path);
  },
  linkAt(oldDirFd, oldPath, newDirFd, newPath, flags) {
    const result = linkat()(
      int(oldDirFd),
      firstPath(oldPath, 'link'),
      int(newDirFd),
      secondPath(newPath, 'link'),
      int(flags),
    );
    checkTwo(result, 'link', oldPath, newPath);
  },
  unlinkAt(dirFd, path, flags) {
    check(unlinkat()(int(dirFd), firstPath(path, 'unlink'), int(flags)), 'unlink', path);
  },
  renameAt2(oldDirFd, oldPath, newDirFd, newPath, flags) {
    const from = firstPath(oldPath, 'rename');
    const to = secondPath(newPath, 'rename');
    checkTwo(renameat2()(int(oldDirFd), from, int(newDirFd), to, int(flags)), 'rename', oldPath, newPath);
  },
  readlinkAt(dirFd, path) {
    return linkTarget.memory.toString('utf8', 0, readLink(dirFd, path));
  },
  readlinkBytesAt(dirFd, path) {
    return Buffer.from(linkTarget.memory.subarray(0, readLink(dirFd, path)));
  },
  fchownAt(dirFd, path, uid, gid, flags) {
    check(fchownat()(int(dirFd), firstPath(path, 'chown'), int(uid), int(gid), int(flags)), 'chown', path);
  },
  fchmodAt(dirFd, path, mode) {
    const name = firstPath(path, 'chmod');
    if (!fchmodat2Missing) {
      // Kernel 6.6. Where it is missing, libc opens the file with O_PATH and goes through /proc/self/fd.
      if (systemCall(SYS_FCHMODAT2, int(dirFd), name, int(mode), AT_SYMLINK_NOFOLLOW) === 0) return;
      const errno = lastErrno();
      if (errno !== ENOSYS) throw new KernelError('chmod', errno, { path });
      fchmodat2Missing = true;
    }
    check(fchmodat()(int(dirFd), name, int(mode), AT_SYMLINK_NOFOLLOW), 'chmod', path);
  },
  utimensAt(dirFd, path, atime, mtime, flags) {
    setTime(0, atime);
    setTime(2, mtime);
    // libc refuses utimensat without a name, though the kernel takes it.
    if (path === null) {
      check(futimens()(int(dirFd), times.address), 'utimensat');
    } else {
      const name = firstPath(path, 'utimensat');
      check(utimensat()(int(dirFd), name, times.address, int(flags)), 'utimensat', path);
    }
  },
  statAt(dirFd, path, flags) {
    const name = firstPath(path, 'stat');
    check(statx()(int(dirFd), name, int(flags), STATX_BASIC_STATS, status.address), 'stat', path);
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
  syncFs(fd) {
    check(syncfs()(int(fd)), 'syncfs');
  },
  readDirectoryOnce(fd) {
    const buffer = Buffer.alloc(32768);
    // glibc exports it since 2.30 only.
    const number = syscallNumber(217n, 61n);
    const length = check(systemCall(number, int(fd), buffer, int(buffer.length)), 'getdents64');
    return directoryEntries(buffer.subarray(0, length));
  },
  flock(fd, operation) {
    while (flock()(int(fd), int(operation)) === -1) {
      const errno = lastErrno();
      if (errno !== EINTR) throw new KernelError('flock', errno);
    }
  },
  inotifyInit() {
    return check(inotifyInit()(int(O_CLOEXEC)), 'inotify_init1');
  },
  duplicateTo(fd, target) {
    check(dup2()(int(fd), int(target)), 'dup2');
  },
  setCloseOnExec(fd, on) {
    // FD_CLOEXEC is the only descriptor flag there is.
    check(fcntl()(int(fd), F_SETFD, on ? FD_CLOEXEC : 0n), 'fcntl');
  },
  setCloseOnExecFrom(firstFd) {
    if (systemCall(SYS_CLOSE_RANGE, int(firstFd), LAST_FD, CLOSE_RANGE_CLOEXEC) === 0) return;
    // The call is of kernel 5.9, its flag of 5.11.
    const errno = lastErrno();
    if (errno !== ENOSYS && errno !== EINVAL) throw new KernelError('close_range', errno);
    for (const name of readdirSync('/proc/self/fd')) {
      // The descriptor that listed the directory is in the list and closed by now; node set it close-on-exec anyway.
      if (Number(name) >= firstFd) fcntl()(int(Number(name)), F_SETFD, FD_CLOEXEC);
    }
  },
  copyFileRange(fromFd, fromPosition, toFd, toPosition, length) {
    const [from, to] = [int(fromFd), int(toFd)];
    for (;;) {
      fromOffset.memory[0] = BigInt(fromPosition);
      toOffset.memory[0] = BigInt(toPosition);
      // The kernel copies less than 2 GiB at a time.
      const copied = copyFileRange()(from, fromOffset.address, to, toOffset.address, BigInt(length), 0n);
      if (copied !== -1) return copied;
      const errno = lastErrno();
      if (errno !== EINTR) throw new KernelError('copy_file_range', errno);
    }
  },
  seek(fd, offset, whence) {
    const position = lseek()(int(fd), BigInt(offset), int(whence));
    if (position === -1n) throw new KernelError('lseek', lastErrno());
    return Number(position);
  },
  memfdCreate(name, flags) {
    return check(
      memfdCreate()(firstPath(name, 'memfd_create'), int(flags | MFD_CLOEXEC)),
      'memfd_create',
      name,
    );
  },
  addSeals(fd, seals) {
    check(fcntl()(int(fd), F_ADD_SEALS, int(seals)), 'fcntl');
  },
  getSeals(fd) {
    return check(fcntl()(int(fd), F_GET_SEALS, 0n), 'fcntl');
  },
};

function readLink(dirFd: number, path: string | Uint8Array): number {
  const name = firstPath(path, 'readlink');
  const size = int(linkTarget.memory.length);
  return check(readlinkat()(int(dirFd), name, linkTarget.address, size), 'readlink', path);
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
    times.memory[index] = 0n;
    times.memory[index + 1] = UTIME_OMIT;
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
  times.memory[index] = seconds;
  times.memory[index + 1] = rest;
}

function readStatus(): FileStatus {
  return {
    mode: word(STATUS.mode) & 0xffff,
    linkCount: word(STATUS.linkCount),
    uid: word(STATUS.uid),
    gid: word(STATUS.gid),
    inode: status.memory.readBigUInt64LE(4 * STATUS.inode),
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
