// Compiles a filter of system calls into the program that the kernel runs for each call (seccomp(2), bpf(4)), in about a
// tenth of the time that libseccomp takes. Pure; runs in the run and enter entry points, on the host.
//
// One program serves both kinds of programs that an x86-64 kernel runs: the calls of each are told apart by the
// architecture, then by ranges of numbers that share a verdict, in a binary search.

import { Stage1Error } from './errors.ts';
import { I386_CALLS, X86_64_CALLS } from './syscall-numbers.ts';

/** What becomes of a call: it is made, the process ends by SIGSYS, or the call fails with an errno. */
export type Verdict = 'allow' | 'kill' | { readonly errno: number };

/** A filter as data. */
export interface CallVerdicts {
  /** By name of the call. Names the tables do not have are ignored. */
  readonly calls: ReadonlyMap<string, Verdict>;
  /** For every other number that the tables reach. */
  readonly otherwise: Verdict;
  /** For numbers behind them: calls newer than the tables. */
  readonly unknown: Verdict;
  /** For calls in the manner of x32, and of machines this is not. */
  readonly foreign: Verdict;
  /** Refuse sockets to the kernel's audit, as systemd-nspawn does: programs take that for a kernel without it. */
  readonly hideAudit?: boolean;
}

// linux/audit.h, linux/seccomp.h
const AUDIT_ARCH_X86_64 = 0xc000_003e;
const AUDIT_ARCH_I386 = 0x4000_0003;
const X32_CALLS = 0x4000_0000;
const RET_KILL_PROCESS = 0x8000_0000;
const RET_ERRNO = 0x0005_0000;
const RET_ALLOW = 0x7fff_0000;
const MOST_ERRNO = 4095;

// linux/bpf_common.h: load a word, jump if equal, jump if at least, jump always, return.
const [LOAD, JUMP_EQUAL, JUMP_AT_LEAST, JUMP, RETURN] = [0x20, 0x15, 0x35, 0x05, 0x06];

// struct seccomp_data: number, architecture, instruction, six arguments of 8 bytes, low halves first.
const OFFSET_NUMBER = 0;
const OFFSET_ARCH = 4;
const offsetOfArgument = (index: number): number => 16 + 8 * index;

const AF_NETLINK = 16;
const NETLINK_AUDIT = 9;
const EAFNOSUPPORT = 97;

// linux/net.h and linux/ipc.h: calls of i386 that are also made as socketcall(number, ...) and ipc(number, ...).
const MULTIPLEXED: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  socketcall: {
    socket: 1,
    bind: 2,
    connect: 3,
    listen: 4,
    accept: 5,
    getsockname: 6,
    getpeername: 7,
    socketpair: 8,
    send: 9,
    recv: 10,
    sendto: 11,
    recvfrom: 12,
    shutdown: 13,
    setsockopt: 14,
    getsockopt: 15,
    sendmsg: 16,
    recvmsg: 17,
    accept4: 18,
    recvmmsg: 19,
    sendmmsg: 20,
  },
  ipc: {
    semop: 1,
    semget: 2,
    semctl: 3,
    semtimedop: 4,
    msgsnd: 11,
    msgrcv: 12,
    msgget: 13,
    msgctl: 14,
    shmat: 21,
    shmdt: 22,
    shmget: 23,
    shmctl: 24,
  },
};

interface Instruction {
  readonly code: number;
  readonly value: number;
  readonly jumpTrue?: number;
  readonly jumpFalse?: number;
}

/** What is decided about one number: a verdict, or instructions that look at the arguments and return. */
type Decision = Verdict | { readonly block: readonly Instruction[] };

/** The program as an array of struct sock_filter. @throws Stage1Error `bad-seccomp` on machines without a table */
export function compileSeccomp(filter: CallVerdicts, arch: string = process.arch): Buffer {
  if (arch !== 'x64') throw new Stage1Error('bad-seccomp', `no table of system calls for ${arch}`);
  const foreign = ret(filter.foreign);
  const nativePart = [
    load(OFFSET_NUMBER),
    { code: JUMP_AT_LEAST, value: X32_CALLS, jumpTrue: 0, jumpFalse: 1 },
    foreign,
    ...search(rangesOf(decisions(filter, X86_64_CALLS), filter)),
  ];
  const i386 = decisions(filter, I386_CALLS);
  for (const name of Object.keys(MULTIPLEXED)) decideMultiplexed(i386, name, filter);
  const i386Part = [load(OFFSET_NUMBER), ...search(rangesOf(i386, filter))];
  return encode([
    load(OFFSET_ARCH),
    { code: JUMP_EQUAL, value: AUDIT_ARCH_X86_64, jumpTrue: 3, jumpFalse: 0 },
    { code: JUMP_EQUAL, value: AUDIT_ARCH_I386, jumpTrue: 1, jumpFalse: 0 },
    foreign,
    jump(nativePart.length),
    ...nativePart,
    ...i386Part,
  ]);
}

// By number. What is not said is as the others.
function decisions(filter: CallVerdicts, table: ReadonlyMap<string, number>): (Decision | undefined)[] {
  const decided: (Decision | undefined)[] = [];
  for (const [name, verdict] of filter.calls) {
    const number = table.get(name);
    if (number !== undefined) decided[number] = verdict;
  }
  const socket = table.get('socket');
  if (socket !== undefined && filter.hideAudit === true) {
    const verdict = filter.calls.get('socket') ?? filter.otherwise;
    if (verdict === 'allow') decided[socket] = { block: ALL_BUT_AUDIT };
  }
  // So long is the table.
  const last = lastOf(table);
  decided[last] ??= filter.otherwise;
  return decided;
}

function lastOf(table: ReadonlyMap<string, number>): number {
  let last = 0;
  for (const number of table.values()) last = Math.max(last, number);
  return last;
}

// What is said of one of the calls counts, however it is made.
function decideMultiplexed(
  decided: (Decision | undefined)[],
  name: string,
  { calls, otherwise }: CallVerdicts,
): void {
  const number = I386_CALLS.get(name);
  if (number === undefined) return;
  const verdict = calls.get(name) ?? otherwise;
  const members = Object.entries(MULTIPLEXED[name] ?? {}).flatMap(([member, index]) => {
    const own = calls.get(member);
    return own === undefined || same(own, verdict) ? [] : [{ index, verdict: own }];
  });
  if (members.length > 0) decided[number] = { block: byFirstArgument(members, verdict) };
}

function byFirstArgument(
  members: readonly { index: number; verdict: Verdict }[],
  otherwise: Verdict,
): Instruction[] {
  return [
    load(offsetOfArgument(0)),
    ...members.flatMap(({ index, verdict }): Instruction[] => [
      { code: JUMP_EQUAL, value: index, jumpTrue: 0, jumpFalse: 1 },
      ret(verdict),
    ]),
    ret(otherwise),
  ];
}

const ALL_BUT_AUDIT: readonly Instruction[] = [
  { code: LOAD, value: offsetOfArgument(0) },
  { code: JUMP_EQUAL, value: AF_NETLINK, jumpTrue: 0, jumpFalse: 3 },
  { code: LOAD, value: offsetOfArgument(2) },
  { code: JUMP_EQUAL, value: NETLINK_AUDIT, jumpTrue: 0, jumpFalse: 1 },
  { code: RETURN, value: RET_ERRNO | EAFNOSUPPORT },
  { code: RETURN, value: RET_ALLOW },
];

interface Range {
  readonly first: number;
  readonly decision: Decision;
}

function rangesOf(decided: readonly (Decision | undefined)[], { otherwise, unknown }: CallVerdicts): Range[] {
  const ranges: Range[] = [];
  let before: Decision | undefined;
  for (let number = 0; number <= decided.length; number += 1) {
    const decision = number === decided.length ? unknown : (decided[number] ?? otherwise);
    if (before === undefined || !same(before, decision)) ranges.push({ first: number, decision });
    before = decision;
  }
  return ranges;
}

// Conditional jumps reach 255 instructions, plain ones any number: each half lies behind a plain one or next to it.
function search(ranges: readonly Range[]): Instruction[] {
  const middle = ranges.length >> 1;
  const at = ranges[middle];
  if (at === undefined || middle === 0) return leaf(ranges[0]?.decision ?? 'kill');
  const [low, high] = [search(ranges.slice(0, middle)), search(ranges.slice(middle))];
  return [
    { code: JUMP_AT_LEAST, value: at.first, jumpTrue: 0, jumpFalse: 1 },
    jump(low.length),
    ...low,
    ...high,
  ];
}

function leaf(decision: Decision): Instruction[] {
  return isBlock(decision) ? [...decision.block] : [ret(decision)];
}

function isBlock(decision: Decision): decision is { readonly block: readonly Instruction[] } {
  return typeof decision === 'object' && 'block' in decision;
}

function same(left: Decision, right: Decision): boolean {
  if (left === right) return true;
  if (typeof left === 'string' || typeof right === 'string' || isBlock(left) || isBlock(right)) return false;
  return left.errno === right.errno;
}

const load = (offset: number): Instruction => ({ code: LOAD, value: offset });
const jump = (instructions: number): Instruction => ({ code: JUMP, value: instructions });
const ret = (verdict: Verdict): Instruction => ({ code: RETURN, value: actionOf(verdict) });

function actionOf(verdict: Verdict): number {
  if (verdict === 'allow') return RET_ALLOW;
  if (verdict === 'kill') return RET_KILL_PROCESS;
  return RET_ERRNO | Math.min(verdict.errno, MOST_ERRNO);
}

/** Bytes of struct sock_filter. */
const INSTRUCTION_BYTES = 8;

function encode(program: readonly Instruction[]): Buffer {
  const bytes = Buffer.alloc(program.length * INSTRUCTION_BYTES);
  program.forEach(({ code, value, jumpTrue = 0, jumpFalse = 0 }, index) => {
    const at = index * INSTRUCTION_BYTES;
    bytes.writeUInt16LE(code, at);
    bytes.writeUInt8(jumpTrue, at + 2);
    bytes.writeUInt8(jumpFalse, at + 3);
    bytes.writeUInt32LE(value >>> 0, at + 4);
  });
  return bytes;
}
