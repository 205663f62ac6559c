// A kernel for tests that does nothing but write down what it was asked. Runs in test processes.

import { errnoNumber, KernelError } from '../errno.ts';
import type { FileStatus, FileSystemStatus, Kernel } from '../kernel.ts';

/** One recorded call, e.g. `{ name: 'mount', arguments: ['overlay', '/x', 'overlay', 0, 'lowerdir=..'] }`. */
export interface Call {
  readonly name: keyof Kernel;
  readonly arguments: readonly unknown[];
}

/** A {@link Kernel} that records; every call succeeds unless told otherwise. */
export interface RecordingKernel extends Kernel {
  /** All calls so far, in order. */
  readonly calls: Call[];
  /** The names of the calls so far. */
  callNames(): string[];
  /** Makes the next call of `name` (after `skip` that succeed) throw KernelError with this code. */
  failNext(name: keyof Kernel, code: string, skip?: number): void;
}

const NO_FILE: FileStatus = {
  mode: 0o100644,
  linkCount: 1,
  uid: 0,
  gid: 0,
  inode: 1n,
  sizeBytes: 0,
  blocks: 0,
  atime: { seconds: 0, nanoseconds: 0 },
  mtime: { seconds: 0, nanoseconds: 0 },
  ctime: { seconds: 0, nanoseconds: 0 },
  deviceMajor: 0,
  deviceMinor: 1,
  rdevMajor: 0,
  rdevMinor: 0,
  mountRoot: false,
};

const EXT4: FileSystemStatus = {
  type: 0xef53n,
  blockSize: 4096n,
  blocks: 1n << 20n,
  freeBlocks: 1n << 19n,
  availableBlocks: 1n << 19n,
  files: 1n << 16n,
  freeFiles: 1n << 15n,
};

/**
 * A recording kernel. `answers` replaces single calls; they are recorded too. Descriptors it hands out start at
 * 1000, so that closing one by mistake fails rather than closes a real one.
 */
export function recordingKernel(answers: Partial<Kernel> = {}): RecordingKernel {
  const calls: Call[] = [];
  const failures: { name: keyof Kernel; code: string; skip: number }[] = [];
  const implementation: Kernel = { ...defaultAnswers(), ...answers };
  const recorded = Object.fromEntries(
    Object.entries(implementation).map(([key, answer]) => {
      const name = key as keyof Kernel;
      const call = (...given: unknown[]): unknown => {
        calls.push({ name, arguments: given });
        const failure = failures.find((candidate) => candidate.name === name);
        if (failure !== undefined && failure.skip-- === 0) {
          failures.splice(failures.indexOf(failure), 1);
          throw new KernelError(name, errnoNumber(failure.code));
        }
        return (answer as (...values: unknown[]) => unknown)(...given);
      };
      return [name, call];
    }),
  ) as unknown as Kernel;
  return {
    ...recorded,
    calls,
    callNames: () => calls.map(({ name }) => name),
    failNext: (name, code, skip = 0) => void failures.push({ name, code, skip }),
  };
}

function defaultAnswers(): Kernel {
  let nextFd = 1000;
  const descriptor = (): number => nextFd++;
  const nothing = (): void => {};
  const noBytes = (): Buffer => Buffer.alloc(0);
  const noNames = (): string[] => [];
  return {
    mount: nothing,
    umount2: nothing,
    openTree: descriptor,
    moveMount: nothing,
    mountSetattr: nothing,
    unshare: nothing,
    setns: nothing,
    pivotRoot: nothing,
    chroot: nothing,
    setHostname: nothing,
    openAt2: descriptor,
    mkdirAt: nothing,
    mknodAt: nothing,
    symlinkAt: nothing,
    linkAt: nothing,
    unlinkAt: nothing,
    renameAt2: nothing,
    readlinkAt: () => '',
    readlinkBytesAt: noBytes,
    fchownAt: nothing,
    fchmodAt: nothing,
    utimensAt: nothing,
    statAt: () => NO_FILE,
    statFs: () => EXT4,
    syncFs: nothing,
    readDirectoryOnce: () => [],
    flock: nothing,
    inotifyInit: descriptor,
    duplicateTo: nothing,
    setCloseOnExec: nothing,
    setCloseOnExecFrom: nothing,
    copyFileRange: () => 0,
    seek: () => 0,
    memfdCreate: descriptor,
    addSeals: nothing,
    getSeals: () => 0,
    getXattr: noBytes,
    lgetXattr: noBytes,
    fgetXattr: noBytes,
    listXattr: noNames,
    llistXattr: noNames,
    flistXattr: noNames,
    llistXattrBytes: () => [],
    setXattr: nothing,
    lsetXattr: nothing,
    fsetXattr: nothing,
    lremoveXattr: nothing,
    setGroups: nothing,
    setResGid: nothing,
    setResUid: nothing,
    capGet: () => ({ effective: 0n, permitted: 0n, inheritable: 0n }),
    capSet: nothing,
    dropBoundingCapability: nothing,
    boundingCapabilities: () => 0n,
    lastCapability: () => 40,
    raiseAmbient: nothing,
    clearAmbient: nothing,
    setNoNewPrivileges: nothing,
    getNoNewPrivileges: () => false,
    setSeccompFilter: nothing,
    setKeepCaps: nothing,
    setParentDeathSignal: nothing,
    setDumpable: nothing,
    cloneSleeper: () => 100_000_000,
    waitPid: nothing,
    kill: nothing,
    pidfdOpen: descriptor,
    pidfdSendSignal: nothing,
    execve: () => {
      throw new Error('the recording kernel executes nothing');
    },
    execveFd: () => {
      throw new Error('the recording kernel executes nothing');
    },
    newSessionKeyring: nothing,
    resetSignal: nothing,
    unblockSignal: nothing,
    getRlimit: () => ({ soft: 1024n, hard: 4096n }),
    setRlimit: nothing,
    pipe: () => ({ read: descriptor(), write: descriptor() }),
    socketPair: () => [descriptor(), descriptor()],
    signalOnInput: nothing,
    makeTerminalRaw: () => Buffer.alloc(0),
    setTerminal: nothing,
    setBlocking: nothing,
    openTap: descriptor,
  };
}
