// Process, signal and limit calls over libc. Runs wherever the kernel is opened.

import { AT_EMPTY_PATH } from '../constants.ts';
import { KernelError } from '../errno.ts';
import {
  addressOf,
  check,
  firstPath,
  functionAddress,
  int,
  lastErrno,
  lazySymbol,
  stringArray,
  syscallNumber,
  systemCall,
} from '../ffi.ts';
import type { ProcessCalls } from '../kernel.ts';

// One table for all architectures since kernel 5.1; the C library has these since 2.36 only.
const SYS_PIDFD_SEND_SIGNAL = 424n;
const SYS_PIDFD_OPEN = 434n;

const kill = lazySymbol('kill', 2);
const signal = lazySymbol('signal', 2, 'i64');
const sigprocmask = lazySymbol('sigprocmask', 3);
const execve = lazySymbol('execve', 3);
const prlimit = lazySymbol('prlimit64', 4);
// The fourth and later arguments are variadic; there is none beyond it.
const clone = lazySymbol('clone', 4);
const waitpid = lazySymbol('waitpid', 3);

// keyctl(2)
const KEYCTL_JOIN_SESSION_KEYRING = 1n;

const SIG_DFL = 0n;
const SIGCHLD = 17;
const EINTR = 4;
const ECHILD = 10;

// Nothing of node's may run in a child, so it runs one function of libc.
const CHILD_STACK_BYTES = 65536;
const STACK_ALIGNMENT = 16n;

const SIG_UNBLOCK = 1n;
const SIG_SETMASK = 2n;
/** Size of sigset_t in the C libraries. */
const SIGNAL_SET_BYTES = 128;

/** The process calls of the real kernel. */
export const processCalls: ProcessCalls = {
  cloneSleeper(flags, seconds) {
    const stack = Buffer.allocUnsafeSlow(CHILD_STACK_BYTES);
    const top = addressOf(stack) + BigInt(stack.length);
    const entry = functionAddress('sleep');
    const restoreSignals = blockSignals();
    try {
      const result = clone()(entry, top - (top % STACK_ALIGNMENT), int(flags | SIGCHLD), int(seconds));
      return check(result, 'clone');
    } finally {
      restoreSignals();
    }
  },
  waitPid(pid) {
    while (waitpid()(int(pid), null, 0n) < 0) {
      const errno = lastErrno();
      // Who ignores SIGCHLD, or was started so, has no children to wait for: this one has ended.
      if (errno === ECHILD) return;
      if (errno !== EINTR) throw new KernelError('waitpid', errno, { path: String(pid) });
    }
  },
  kill(pid, number) {
    check(kill()(int(pid), int(number)), 'kill', String(pid));
  },
  pidfdOpen(pid, flags = 0) {
    return check(systemCall(SYS_PIDFD_OPEN, int(pid), int(flags)), 'pidfd_open', String(pid));
  },
  pidfdSendSignal(pidfd, number) {
    check(systemCall(SYS_PIDFD_SEND_SIGNAL, int(pidfd), int(number)), 'pidfd_send_signal');
  },
  execve(path, argv, variables) {
    const words = stringArray(argv, 'execve');
    execve()(firstPath(path, 'execve'), words, stringArray(variables, 'execve'));
    throw new KernelError('execve', lastErrno(), { path });
  },
  execveFd(fd, argv, variables) {
    const words = stringArray(argv, 'execveat');
    const none = firstPath('', 'execveat');
    const number = syscallNumber(322n, 281n);
    systemCall(number, int(fd), none, words, stringArray(variables, 'execveat'), int(AT_EMPTY_PATH));
    throw new KernelError('execveat', lastErrno(), { path: argv[0] });
  },
  newSessionKeyring() {
    check(systemCall(syscallNumber(250n, 219n), KEYCTL_JOIN_SESSION_KEYRING), 'keyctl');
  },
  resetSignal(number) {
    check(Number(signal()(int(number), SIG_DFL)), 'signal', String(number));
  },
  unblockSignal(number) {
    const set = Buffer.alloc(SIGNAL_SET_BYTES);
    set.writeBigUInt64LE(1n << BigInt(number - 1));
    check(sigprocmask()(SIG_UNBLOCK, set, null), 'sigprocmask', String(number));
  },
  getRlimit(resource, pid = 0) {
    const limit = new BigUint64Array(2);
    check(prlimit()(int(pid), int(resource), null, limit), 'prlimit');
    return { soft: limit[0] ?? 0n, hard: limit[1] ?? 0n };
  },
  setRlimit(resource, soft, hard, pid = 0) {
    check(prlimit()(int(pid), int(resource), BigUint64Array.of(soft, hard), null), 'prlimit');
  },
};

// A child has our handlers as well: ctrl-C would be told to us once more, by it.
function blockSignals(): () => void {
  const before = Buffer.alloc(SIGNAL_SET_BYTES);
  const all = Buffer.alloc(SIGNAL_SET_BYTES, 0xff);
  check(sigprocmask()(SIG_SETMASK, all, before), 'sigprocmask');
  return () => check(sigprocmask()(SIG_SETMASK, before, null), 'sigprocmask');
}
