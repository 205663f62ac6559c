// Process, signal and limit calls over libc. Runs wherever the kernel is opened.

import { AT_EMPTY_PATH } from '../constants.ts';
import { KernelError } from '../errno.ts';
import {
  addressOf,
  check,
  firstPath,
  functionAddress,
  lastErrno,
  lazySymbol,
  lazySyscall,
  stringArray,
  syscallNumber,
} from '../ffi.ts';
import type { ProcessCalls } from '../kernel.ts';

// One table for all architectures since kernel 5.1; the C library has these since 2.36 only.
const SYS_PIDFD_SEND_SIGNAL = 424n;
const SYS_PIDFD_OPEN = 434n;

const kill = lazySymbol('kill', { arguments: ['i32', 'i32'], return: 'i32' });
const signal = lazySymbol('signal', { arguments: ['i32', 'pointer'], return: 'i64' });
const sigprocmask = lazySymbol('sigprocmask', { arguments: ['i32', 'pointer', 'pointer'], return: 'i32' });
const execve = lazySymbol('execve', { arguments: ['pointer', 'pointer', 'pointer'], return: 'i32' });
const prlimit = lazySymbol('prlimit64', { arguments: ['i32', 'i32', 'pointer', 'pointer'], return: 'i32' });
const pidfdOpen = lazySyscall({ arguments: ['i64', 'i32', 'u32'], return: 'i32' });
const pidfdSendSignal = lazySyscall({ arguments: ['i64', 'i32', 'i32', 'pointer', 'u32'], return: 'i32' });

const execveat = lazySyscall({
  arguments: ['i64', 'i32', 'pointer', 'pointer', 'pointer', 'i32'],
  return: 'i32',
});
// The fourth and later arguments are variadic; there is none beyond it.
const clone = lazySymbol('clone', { arguments: ['pointer', 'pointer', 'i32', 'u64'], return: 'i32' });
const waitpid = lazySymbol('waitpid', { arguments: ['i32', 'pointer', 'i32'], return: 'i32' });
const keyctl = lazySyscall({ arguments: ['i64', 'i32', 'pointer'], return: 'i32' });

// keyctl(2)
const KEYCTL_JOIN_SESSION_KEYRING = 1;

const SIG_DFL = 0n;
const SIGCHLD = 17;
const EINTR = 4;
const ECHILD = 10;

// Its memory is a copy of ours and nothing of node's may run in it, so it runs one function of libc.
const CHILD_STACK_BYTES = 65536;
const STACK_ALIGNMENT = 16n;

const SIG_UNBLOCK = 1;
/** Size of sigset_t in the C libraries. */
const SIGNAL_SET_BYTES = 128;

/** The process calls of the real kernel. */
export const processCalls: ProcessCalls = {
  cloneSleeper(flags, seconds) {
    return cloneCall('sleep', flags, seconds);
  },
  cloneSync(fd) {
    return cloneCall('syncfs', 0, fd);
  },
  waitPid(pid) {
    while (waitpid()(pid, null, 0) === -1) {
      const errno = lastErrno();
      // Who ignores SIGCHLD, or was started so, has no children to wait for: this one has ended.
      if (errno === ECHILD) return;
      if (errno !== EINTR) throw new KernelError('waitpid', errno, { path: String(pid) });
    }
  },
  kill(pid, number) {
    check(kill()(pid, number), 'kill', String(pid));
  },
  pidfdOpen(pid, flags = 0) {
    return check(pidfdOpen()(SYS_PIDFD_OPEN, pid, flags), 'pidfd_open', String(pid));
  },
  pidfdSendSignal(pidfd, number) {
    check(pidfdSendSignal()(SYS_PIDFD_SEND_SIGNAL, pidfd, number, null, 0), 'pidfd_send_signal');
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
    execveat()(number, fd, none, words, stringArray(variables, 'execveat'), AT_EMPTY_PATH);
    throw new KernelError('execveat', lastErrno(), { path: argv[0] });
  },
  newSessionKeyring() {
    check(keyctl()(syscallNumber(250n, 219n), KEYCTL_JOIN_SESSION_KEYRING, null), 'keyctl');
  },
  resetSignal(number) {
    check(Number(signal()(number, SIG_DFL)), 'signal', String(number));
  },
  unblockSignal(number) {
    const set = Buffer.alloc(SIGNAL_SET_BYTES);
    set.writeBigUInt64LE(1n << BigInt(number - 1));
    check(sigprocmask()(SIG_UNBLOCK, set, null), 'sigprocmask', String(number));
  },
  getRlimit(resource, pid = 0) {
    const limit = new BigUint64Array(2);
    check(prlimit()(pid, resource, null, limit), 'prlimit');
    return { soft: limit[0] ?? 0n, hard: limit[1] ?? 0n };
  },
  setRlimit(resource, soft, hard, pid = 0) {
    check(prlimit()(pid, resource, BigUint64Array.of(soft, hard), null), 'prlimit');
  },
};

function cloneCall(name: string, flags: number, argument: number): number {
  const stack = Buffer.allocUnsafeSlow(CHILD_STACK_BYTES);
  const top = addressOf(stack) + BigInt(stack.length);
  const result = clone()(
    functionAddress(name),
    top - (top % STACK_ALIGNMENT),
    flags | SIGCHLD,
    BigInt(argument),
  );
  return check(result, 'clone');
}
