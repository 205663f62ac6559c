// Locks over flock(2). The kernel drops one when its last descriptor closes, also after kill -9, so the life of a
// pod may rest on one. Runs in stage0, and in stage1 for the descriptor that stage0 hands over.

import { closeSync, constants, fstatSync, openSync, statSync } from 'node:fs';

import { LOCK_EX, LOCK_NB, LOCK_SH } from './constants.ts';
import { LinuxError } from './errors.ts';
import { KernelError, withKernelErrors } from './errno.ts';
import { openKernel } from './libc.ts';

const LOCK_FILE_RETRIES = 3;

/** What lock to take. */
export interface LockOptions {
  /** Exclude everybody else, rather than only exclusive holders. */
  readonly exclusive: boolean;
  /** Block the whole thread until the lock is free. */
  readonly wait: boolean;
}

/** Options of {@link lockFile}. */
export interface LockFileOptions extends LockOptions {
  /** Make the file when it is missing. */
  readonly create?: boolean;
  /** Permission bits of a file that is made; 0600 by default. */
  readonly mode?: number;
}

/** A lock that is held until `release`, the end of its `using` block, or the end of the process. */
export class FileLock implements Disposable {
  /** Holds the lock; close-on-exec until `execProgram` is told to keep it open. */
  readonly fd: number;
  readonly path: string;
  #held = true;

  constructor(fd: number, path: string) {
    this.fd = fd;
    this.path = path;
  }

  /** Whether the lock has not been released through this object. */
  get held(): boolean {
    return this.#held;
  }

  /** Turns an exclusive lock into a shared one; never waits, as all conflicts are with us. */
  downgrade(): void {
    tryFlock(this.fd, this.path, { exclusive: false, wait: false });
  }

  /**
   * Turns a shared lock into an exclusive one. flock(2) drops the old lock first, so another process may get in
   * between; without `wait` that makes this return false, and then nothing is locked any more (the object is released).
   */
  upgrade({ wait }: { readonly wait: boolean }): boolean {
    if (tryFlock(this.fd, this.path, { exclusive: true, wait })) return true;
    this.release();
    return false;
  }

  /** Closes the descriptor. A program that inherited it keeps the lock. Does nothing the second time. */
  release(): void {
    if (!this.#held) return;
    this.#held = false;
    closeSync(this.fd);
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

/** Locks the directory itself; undefined when not waiting and another process holds a conflicting lock. */
export function lockDirectory(path: string, options: LockOptions & { readonly wait: true }): FileLock;
export function lockDirectory(path: string, options: LockOptions): FileLock | undefined;
export function lockDirectory(path: string, options: LockOptions): FileLock | undefined {
  return lockOpened(open(path, constants.O_RDONLY | constants.O_DIRECTORY), path, options);
}

/**
 * Locks a file by name. The holder before us may have removed or replaced it while we waited, so after locking the
 * name is compared with the descriptor, and the whole is tried again up to three times (contract stage0 7.4).
 * Throws LinuxError `lock-replaced` after that.
 */
export function lockFile(path: string, options: LockFileOptions & { readonly wait: true }): FileLock;
export function lockFile(path: string, options: LockFileOptions): FileLock | undefined;
export function lockFile(path: string, options: LockFileOptions): FileLock | undefined {
  const flags = constants.O_RDONLY | (options.create === true ? constants.O_CREAT : 0);
  for (let tries = 0; tries <= LOCK_FILE_RETRIES; tries += 1) {
    const lock = lockOpened(open(path, flags, options.mode ?? 0o600), path, options);
    if (lock === undefined || isStillNamed(lock.fd, path)) return lock;
    lock.release();
  }
  throw new LinuxError(
    'lock-replaced',
    `lock file ${path} was replaced again and again while waiting for it`,
  );
}

/** A shared lock on a directory, or undefined when somebody holds it exclusively. */
export function tryLockShared(path: string): FileLock | undefined {
  return lockDirectory(path, { exclusive: false, wait: false });
}

/** The exclusive lock on a directory, or undefined when somebody holds any lock on it. */
export function tryLockExclusive(path: string): FileLock | undefined {
  return lockDirectory(path, { exclusive: true, wait: false });
}

/** Whether some process (or another descriptor of this one) holds the directory exclusively at this moment. */
export function isLockedExclusively(path: string): boolean {
  const lock = tryLockShared(path);
  lock?.release();
  return lock === undefined;
}

/** Takes over a lock from the program that executed us: the descriptor becomes close-on-exec again. */
export function adoptLock(fd: number, path: string): FileLock {
  openKernel().setCloseOnExec(fd, true);
  return new FileLock(fd, path);
}

function open(path: string, flags: number, mode?: number): number {
  return withKernelErrors(path, () => openSync(path, flags, mode));
}

function lockOpened(fd: number, path: string, options: LockOptions): FileLock | undefined {
  try {
    if (tryFlock(fd, path, options)) return new FileLock(fd, path);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  closeSync(fd);
  return undefined;
}

function tryFlock(fd: number, path: string, { exclusive, wait }: LockOptions): boolean {
  try {
    openKernel().flock(fd, (exclusive ? LOCK_EX : LOCK_SH) | (wait ? 0 : LOCK_NB));
    return true;
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    if (error.code === 'EAGAIN') return false;
    throw new KernelError('flock', error.errno, { path });
  }
}

function isStillNamed(fd: number, path: string): boolean {
  const named = statSync(path, { bigint: true, throwIfNoEntry: false });
  const held = fstatSync(fd, { bigint: true });
  return named !== undefined && named.ino === held.ino && named.dev === held.dev;
}
