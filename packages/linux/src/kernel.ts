// The one seam to the kernel: every system call the product makes beyond node's own file functions.
// libc.ts implements it over libc, testing/recording-kernel.ts records it. Used in every process.
//
// All calls are synchronous and throw KernelError. After unshare or setns only synchronous node:fs calls are
// right: the worker threads of the event loop stay behind in the old namespaces.

import type { PathBytes } from './errno.ts';

/** How {@link Kernel.openAt2} opens and resolves; O_CLOEXEC is always added. */
export interface OpenHow {
  /** O_* flags. */
  readonly flags: number;
  /** Permission bits of a file that is created; must be absent or 0 without O_CREAT. */
  readonly mode?: number;
  /** RESOLVE_* flags. */
  readonly resolve?: number;
}

/** A time as the kernel has it, since 1970: `nanoseconds` count forwards, also before. */
export interface FileTime {
  readonly seconds: number;
  readonly nanoseconds: number;
}

/** What {@link Kernel.statAt} finds. */
export interface FileStatus {
  /** Type and permission bits. */
  readonly mode: number;
  readonly linkCount: number;
  readonly uid: number;
  readonly gid: number;
  readonly inode: bigint;
  readonly sizeBytes: number;
  /** Blocks of 512 bytes that the file has on disk. */
  readonly blocks: number;
  readonly atime: FileTime;
  readonly mtime: FileTime;
  readonly ctime: FileTime;
  /** Device that holds the file. */
  readonly deviceMajor: number;
  readonly deviceMinor: number;
  /** Device the file stands for, when it is a device node. */
  readonly rdevMajor: number;
  readonly rdevMinor: number;
  /** The file is the root of a mount (kernel 5.8 and later; false before). */
  readonly mountRoot: boolean;
}

/** What {@link Kernel.statFs} finds. Counts are in blocks of `blockSize` bytes. */
export interface FileSystemStatus {
  /** Magic number of the file system, e.g. OVERLAYFS_SUPER_MAGIC. */
  readonly type: bigint;
  readonly blockSize: bigint;
  readonly blocks: bigint;
  readonly freeBlocks: bigint;
  readonly availableBlocks: bigint;
  readonly files: bigint;
  readonly freeFiles: bigint;
}

/** Capability sets of the calling thread; bit n is capability n. */
export interface CapabilitySets {
  readonly effective: bigint;
  readonly permitted: bigint;
  readonly inheritable: bigint;
}

/** A resource limit; RLIM_INFINITY for none. */
export interface ResourceLimit {
  readonly soft: bigint;
  readonly hard: bigint;
}

/** Changes {@link Kernel.mountSetattr} makes (struct mount_attr). */
export interface MountAttributes {
  /** MOUNT_ATTR_* to set. */
  readonly set?: number;
  /** MOUNT_ATTR_* to clear. */
  readonly clear?: number;
  /** MS_PRIVATE, MS_SLAVE, MS_SHARED or MS_UNBINDABLE. */
  readonly propagation?: number;
  /** User namespace whose mapping MOUNT_ATTR_IDMAP applies. */
  readonly userNamespaceFd?: number;
}

/** One name of a directory and the type getdents64(2) gave for it (DT_*; 0 is unknown). */
export interface DirectoryEntry {
  readonly name: Buffer;
  readonly type: number;
}

/** Mounts and namespaces. */
export interface MountCalls {
  /** mount(2). */
  mount(
    source: PathBytes | null,
    target: PathBytes,
    fstype: string | null,
    flags: number,
    data: PathBytes | null,
  ): void;
  /** umount2(2) with MNT_* and UMOUNT_NOFOLLOW. */
  umount2(target: PathBytes, flags: number): void;
  /** open_tree(2): a descriptor for a mount or, with OPEN_TREE_CLONE, for a detached copy of it. */
  openTree(dirFd: number, path: PathBytes, flags: number): number;
  /** move_mount(2): attaches a detached tree or moves a mount. */
  moveMount(fromFd: number, fromPath: PathBytes, toFd: number, toPath: PathBytes, flags: number): void;
  /** mount_setattr(2), kernel 5.12; AT_RECURSIVE and AT_EMPTY_PATH in `flags`. */
  mountSetattr(dirFd: number, path: PathBytes, flags: number, attributes: MountAttributes): void;
  /** unshare(2). CLONE_NEWUSER cannot work: node has threads. After CLONE_NEWPID no thread may be started any more. */
  unshare(flags: number): void;
  /** setns(2). For a mount namespace call unshare(CLONE_FS) first: node has threads. */
  setns(fd: number, nstype: number): void;
  /** pivot_root(2). */
  pivotRoot(newRoot: PathBytes, putOld: PathBytes): void;
  /** chroot(2); the caller changes directory. */
  chroot(path: PathBytes): void;
  /** sethostname(2). */
  setHostname(name: string): void;
}

/** Files relative to a directory descriptor (AT_FDCWD for the current directory). */
export interface FileCalls {
  /** openat2(2): a new descriptor, close-on-exec. Races that the kernel reports (EAGAIN) are retried. */
  openAt2(dirFd: number, path: PathBytes, how: OpenHow): number;
  /** mkdirat(2). */
  mkdirAt(dirFd: number, path: PathBytes, mode: number): void;
  /** mknodat(2); `mode` holds the type (S_IFCHR, S_IFBLK, S_IFIFO, S_IFREG). */
  mknodAt(dirFd: number, path: PathBytes, mode: number, major: number, minor: number): void;
  /** symlinkat(2); `target` is stored as it is. */
  symlinkAt(target: PathBytes, dirFd: number, path: PathBytes): void;
  /** linkat(2). */
  linkAt(oldDirFd: number, oldPath: PathBytes, newDirFd: number, newPath: PathBytes, flags: number): void;
  /** unlinkat(2); AT_REMOVEDIR for directories. */
  unlinkAt(dirFd: number, path: PathBytes, flags: number): void;
  /** renameat2(2). */
  renameAt2(oldDirFd: number, oldPath: PathBytes, newDirFd: number, newPath: PathBytes, flags: number): void;
  /** readlinkat(2) as text; `''` reads the link that `dirFd` itself is (O_PATH | O_NOFOLLOW). */
  readlinkAt(dirFd: number, path: PathBytes): string;
  /** readlinkat(2) as bytes, for targets that are not UTF-8. */
  readlinkBytesAt(dirFd: number, path: PathBytes): Buffer;
  /** fchownat(2); -1 leaves an id as it is. */
  fchownAt(dirFd: number, path: PathBytes, uid: number, gid: number, flags: number): void;
  /** Permission bits of a file that is not a symbolic link (EOPNOTSUPP for one). */
  fchmodAt(dirFd: number, path: PathBytes, mode: number): void;
  /** utimensat(2); null leaves a time as it is, a null path means `dirFd` itself. A bigint is nanoseconds since 1970. */
  utimensAt(
    dirFd: number,
    path: PathBytes | null,
    atime: bigint | FileTime | null,
    mtime: bigint | FileTime | null,
    flags: number,
  ): void;
  /** statx(2) of one name; AT_SYMLINK_NOFOLLOW and AT_EMPTY_PATH in `flags`. */
  statAt(dirFd: number, path: PathBytes, flags: number): FileStatus;
  /** statfs(2). */
  statFs(path: PathBytes): FileSystemStatus;
  /** syncfs(2). */
  syncFs(fd: number): void;
  /** The first entries of an open directory, with the types the file system itself reports (getdents64(2)). */
  readDirectoryOnce(fd: number): DirectoryEntry[];
  /** flock(2). Waits when `operation` lacks LOCK_NB. */
  flock(fd: number, operation: number): void;
  /** inotify_init1(2): a descriptor that watches nothing yet; the user's instances are counted. */
  inotifyInit(): number;
  /** dup2(2): `target` is what `fd` is; what it was is closed. */
  duplicateTo(fd: number, target: number): void;
  /** Sets or clears FD_CLOEXEC. */
  setCloseOnExec(fd: number, on: boolean): void;
  /** Sets FD_CLOEXEC on every open descriptor from `firstFd` up (close_range(2)). */
  setCloseOnExecFrom(firstFd: number): void;
  /** copy_file_range(2): bytes that were copied, 0 at the end of the source. The files' own positions stay. */
  copyFileRange(fromFd: number, fromOffset: number, toFd: number, toOffset: number, length: number): number;
  /** lseek(2) with SEEK_*: the new position, from the start of the file. */
  seek(fd: number, offset: number, whence: number): number;
  /** memfd_create(2); MFD_CLOEXEC is always added. */
  memfdCreate(name: string, flags: number): number;
  /** fcntl(2) F_ADD_SEALS with F_SEAL_*. */
  addSeals(fd: number, seals: number): void;
  /** fcntl(2) F_GET_SEALS. */
  getSeals(fd: number): number;
}

/** Extended attributes (xattr(7)). The calls with `l` do not follow a final symbolic link. */
export interface XattrCalls {
  getXattr(path: PathBytes, name: PathBytes): Buffer;
  lgetXattr(path: PathBytes, name: PathBytes): Buffer;
  fgetXattr(fd: number, name: PathBytes): Buffer;
  /** Names, in the kernel's order. */
  listXattr(path: PathBytes): string[];
  llistXattr(path: PathBytes): string[];
  flistXattr(fd: number): string[];
  /** {@link llistXattr} as bytes, for names that are not UTF-8. */
  llistXattrBytes(path: PathBytes): Buffer[];
  /** `flags`: 0, XATTR_CREATE or XATTR_REPLACE. */
  setXattr(path: PathBytes, name: PathBytes, value: Uint8Array, flags?: number): void;
  lsetXattr(path: PathBytes, name: PathBytes, value: Uint8Array, flags?: number): void;
  fsetXattr(fd: number, name: PathBytes, value: Uint8Array, flags?: number): void;
  lremoveXattr(path: PathBytes, name: PathBytes): void;
}

/** Identity and privileges of the calling thread; make these calls on the main thread, just before execve. */
export interface CredentialCalls {
  /** setgroups(2). */
  setGroups(gids: readonly number[]): void;
  /** setresgid(2); -1 leaves an id as it is. */
  setResGid(real: number, effective: number, saved: number): void;
  /** setresuid(2); -1 leaves an id as it is. */
  setResUid(real: number, effective: number, saved: number): void;
  /** capget(2). */
  capGet(): CapabilitySets;
  /** capset(2). */
  capSet(sets: CapabilitySets): void;
  /** prctl(2) PR_CAPBSET_DROP. */
  dropBoundingCapability(capability: number): void;
  /** The bounding set (PR_CAPBSET_READ). */
  boundingCapabilities(): bigint;
  /** The highest capability number this kernel knows. */
  lastCapability(): number;
  /** PR_CAP_AMBIENT_RAISE; the capability must be permitted and inheritable. */
  raiseAmbient(capability: number): void;
  /** PR_CAP_AMBIENT_CLEAR_ALL. */
  clearAmbient(): void;
  /** PR_SET_NO_NEW_PRIVS; cannot be undone. */
  setNoNewPrivileges(): void;
  getNoNewPrivileges(): boolean;
  /**
   * Adds a filter of system calls (PR_SET_SECCOMP), an array of struct sock_filter: for this thread and whatever it
   * starts, for ever. Needs no_new_privs or CAP_SYS_ADMIN. To be followed by execve: node is not made for it.
   */
  setSeccompFilter(program: Uint8Array): void;
  /** PR_SET_KEEPCAPS: keep permitted capabilities when all uids become non-zero. */
  setKeepCaps(on: boolean): void;
  /** PR_SET_PDEATHSIG; 0 clears it. */
  setParentDeathSignal(signal: number): void;
  /** PR_SET_DUMPABLE: whether others of the same uid may trace this process or read its /proc entries. */
  setDumpable(on: boolean): void;
}

/** Processes and signals. */
export interface ProcessCalls {
  /**
   * clone(2) with CLONE_NEW*: a child that does nothing but sleep, and is to be killed and waited for. Its namespaces
   * are those that a process of several threads cannot make for itself. It ends by itself after `seconds`.
   */
  cloneSleeper(flags: number, seconds: number): number;
  /** waitpid(2) of one child. */
  waitPid(pid: number): void;
  /** kill(2). */
  kill(pid: number, signal: number): void;
  /** pidfd_open(2). */
  pidfdOpen(pid: number, flags?: number): number;
  /** pidfd_send_signal(2): reaches exactly the process that was opened, never one that reuses its number. */
  pidfdSendSignal(pidfd: number, signal: number): void;
  /** execve(2): returns only by throwing. Variables are `NAME=value`. */
  execve(path: string, argv: readonly string[], variables: readonly string[]): never;
  /** execveat(2) of the program that `fd` is open for, whatever lies at its path now. */
  execveFd(fd: number, argv: readonly string[], variables: readonly string[]): never;
  /** keyctl(2) KEYCTL_JOIN_SESSION_KEYRING: a new, empty session keyring. */
  newSessionKeyring(): void;
  /** Sets a signal to SIG_DFL. */
  resetSignal(signal: number): void;
  /** sigprocmask(2) with SIG_UNBLOCK of one signal, below 65. */
  unblockSignal(signal: number): void;
  /** prlimit(2) of RLIMIT_*; `pid` 0 is this process. */
  getRlimit(resource: number, pid?: number): ResourceLimit;
  setRlimit(resource: number, soft: bigint, hard: bigint, pid?: number): void;
}

/** Descriptors that lead to other processes and devices; close-on-exec. */
export interface DescriptorCalls {
  /** pipe2(2). */
  pipe(): { readonly read: number; readonly write: number };
  /** socketpair(2): two ends of a stream. */
  socketPair(): readonly [number, number];
  /**
   * fcntl(2) F_SETOWN, F_SETSIG and O_ASYNC: `pid` is sent `signal` when `fd` can be read, or its other end is closed,
   * whatever program the process has become by then. Reading no longer waits.
   */
  signalOnInput(fd: number, pid: number, signal: number): void;
  /** fcntl(2) F_SETFL: whoever reads from `fd`, or accepts, waits. */
  setBlocking(fd: number): void;
  /**
   * cfmakeraw(3): every key is a byte for whoever reads, every byte goes to the screen as it is; returns the settings
   * before. (node's raw mode writes carriage returns of its own.)
   */
  makeTerminalRaw(fd: number): Buffer;
  /** ioctl(2) TCSETS, with what {@link makeTerminalRaw} returned. */
  setTerminal(fd: number, settings: Buffer): void;
  /** A new Ethernet device of this network namespace, there as long as the descriptor is open (TUNSETIFF of tun). */
  openTap(name: string): number;
}

/** Everything the product asks of the kernel beyond node:fs. */
export interface Kernel
  extends MountCalls, FileCalls, XattrCalls, CredentialCalls, ProcessCalls, DescriptorCalls {}
