// Makes one system call of an rkt fail, or kills rkt at it, by strace's fault injection. Runs in the mocha process.

import { readFileSync } from 'node:fs';

import { RKT_BIN } from './environment.ts';
import type { Result } from './process.ts';
import type { Rkt } from './rkt.ts';

/** What happens at the chosen call: the process is killed before it, or the call fails. */
export type Fault = 'KILL' | 'ENOSPC' | 'EIO' | 'EROFS' | 'EMFILE';

export const FAULTS: readonly Fault[] = ['KILL', 'ENOSPC', 'EIO', 'EROFS', 'EMFILE'];

/** Calls by which anything reaches a file system, and those that wait for others. Not close: node aborts when it fails. */
const CALLS = [
  'open,openat,openat2,mkdir,mkdirat,mknodat,rename,renameat,renameat2,link,linkat,symlink,symlinkat',
  'unlink,unlinkat,rmdir,write,pwrite64,pwritev,read,pread64,getdents64,ftruncate,fallocate',
  'fsync,fdatasync,syncfs,fchmod,fchmodat,chmod,fchown,fchownat,chown,utimensat,fsetxattr,flock',
  'stat,lstat,fstat,newfstatat,statx',
].join(',');
/** What may be out of descriptors. */
const OPENING_CALLS = 'open,openat,openat2';

const OPTIONS = ['--seccomp-bpf', '-f', '-qq'];

/** One system call of a command: strace counts each name for itself. */
export interface Call {
  readonly name: string;
  /** 1 for the first of that name. */
  readonly ordinal: number;
}

/**
 * Runs a command to its end and lists the calls of its main thread on files of this rkt. The others are node's own, on
 * its pipes to itself, whose failure no disk can cause.
 */
export async function listCalls(rkt: Rkt, args: readonly string[], fault: Fault): Promise<Call[]> {
  const log = rkt.tmp.join('calls');
  const result = await traced(rkt, args, ['-y', '-o', log, '-e', `trace=${callsOf(fault)}`]);
  if (result.status !== 0) throw new Error(`strace: ${result.output}`);
  const lines = readFileSync(log, 'latin1').split('\n');
  const pid = /^\d+/.exec(lines[0] ?? '')?.[0];
  const own = lines.filter((line) => line.startsWith(`${pid} `) && !line.includes(' resumed>'));
  const counts = new Map<string, number>();
  return own.flatMap((line) => {
    const name = /^\d+ +(\w+)\(/.exec(line)?.[1];
    if (name === undefined) return [];
    const ordinal = (counts.get(name) ?? 0) + 1;
    counts.set(name, ordinal);
    return line.includes(`${rkt.tmp.path}/`) && line.includes('/data') ? [{ name, ordinal }] : [];
  });
}

/** Runs a command that meets `fault` at one of its calls. */
export function runWithFault(
  rkt: Rkt,
  args: readonly string[],
  fault: Fault,
  { name, ordinal }: Call,
): Promise<Result> {
  const what = fault === 'KILL' ? 'signal=KILL' : `error=${fault}`;
  const options = ['-o', '/dev/null', '-e', `trace=${name}`, '-e', `inject=${name}:${what}:when=${ordinal}`];
  return traced(rkt, args, options);
}

function callsOf(fault: Fault): string {
  return fault === 'EMFILE' ? OPENING_CALLS : CALLS;
}

function traced(rkt: Rkt, args: readonly string[], options: readonly string[]): Promise<Result> {
  return rkt.startBare([...OPTIONS, ...options, '--', RKT_BIN, ...rkt.directoryFlags, ...args], {}, 'strace')
    .ended;
}
