// Process, signal and limit calls over libc. Runs wherever the kernel is opened.

import { AT_EMPTY_PATH } from '../constants.ts';
import { KernelError } from '../errno.ts';
import { check, firstPath, lastErrno, lazySymbol, lazySyscall, stringArray, syscallNumber } from '../ffi.ts';
import type { ProcessCalls } from '../kernel.ts';

// One table for all architectures since kernel 5.1; the C library has these since 2.36 only.
const SYS_PIDFD_SEND_SIGNAL = 424n;
const SYS_PIDFD_OPEN = 434n;

const kill = lazySymbol('kill', { arguments: ['i32', 'i32'], return: 'i32' });
const signal = lazySymbol('signal', { arguments: ['i32', 'pointer'], return: 'i64' });
const execve = lazySymbol('execve', { arguments: ['pointer', 'pointer', 'pointer'], return: 'i32' });
const prlimit = lazySymbol('prlimit64', { arguments: ['i32', 'i32', 'pointer', 'pointer'], return: 'i32' });
const pidfdOpen = lazySyscall({ arguments: ['i64', 'i32', 'u32'], return: 'i32' });
const pidfdSendSignal = lazySyscall({ arguments: ['i64', 'i32', 'i32', 'pointer', 'u32'], return: 'i32' });

const execveat = lazySyscall({
  arguments: ['i64', 'i32', 'pointer', 'pointer', 'pointer', 'i32'],
  return: 'i32',
});
const keyctl = lazySyscall({ arguments: ['i64', 'i32', 'pointer'], return: 'i32' });

// keyctl(2)
const KEYCTL_JOIN_SESSION_KEYRING = 1;

const SIG_DFL = 0n;

/** The process calls of the real kernel. */
export const processCalls: ProcessCalls = {
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
  getRlimit(resource, pid = 0) {
    const limit = new BigUint64Array(2);
    check(prlimit()(pid, resource, null, limit), 'prlimit');
    return { soft: limit[0] ?? 0n, hard: limit[1] ?? 0n };
  },
  setRlimit(resource, soft, hard, pid = 0) {
    check(prlimit()(pid, resource, BigUint64Array.of(soft, hard), null), 'prlimit');
  },
};
