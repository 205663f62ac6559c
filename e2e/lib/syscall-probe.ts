// A program that makes every system call, with arguments that can do nothing, and says what came of each: the one way
// to compare filters that works everywhere. Runs in the mocha process; the program itself in pods.

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import type { AciFile } from '@rkt/testkit/aci-builder';

// Each call is made by a child of its own: some calls end it. Left out are those that wait or return elsewhere:
// rt_sigreturn, pause, fork, vfork, exit, exit_group.
const SOURCE = `
enum { LAST = 470, PER_LINE = 10 };
static long call(long n, long a, long b, long c) {
  long r;
  __asm__ volatile("mov %2, %%r10; mov %2, %%r8; mov %2, %%r9; syscall"
                   : "=a"(r) : "a"(n), "m"(c), "D"(a), "S"(b), "d"(c) : "rcx", "r8", "r9", "r10", "r11", "memory");
  return r;
}
static char line[4096];
static int used;
static void number(long n) {
  char digits[12];
  int i = 12;
  if (n < 0) { line[used++] = '-'; n = -n; }
  do digits[--i] = '0' + n % 10; while ((n /= 10) != 0);
  while (i < 12) line[used++] = digits[i++];
}
static void flush(void) {
  if (used) { line[used++] = '\\n'; call(1, 1, (long)line, used); used = 0; }
}
static int skipped(int n) { return n == 15 || n == 34 || n == 57 || n == 58 || n == 60 || n == 231; }
void _start(void) {
  int n, count = 0, status;
  long child, result;
  for (n = 0; n <= LAST; n++) {
    if (skipped(n)) continue;
    child = call(57, 0, 0, 0);
    if (child == 0) {
      result = call(n, -1, -1, -1);
      call(231, result < 0 && result > -250 ? -result : 0, 0, 0);
    }
    status = -1;
    __asm__ volatile("" : : : "memory");
    { long r; __asm__ volatile("mov $0, %%r10; syscall" : "=a"(r) : "a"(61L), "D"(child), "S"(&status), "d"(0L) : "rcx", "r10", "r11", "memory"); }
    number(n); line[used++] = '='; number(status & 127 ? -(status & 127) : status >> 8); line[used++] = ' ';
    if (++count % PER_LINE == 0) flush();
  }
  flush();
  call(231, 0, 0, 0);
}
`;

/** The program as a file of an image; compiled by tcc below `directory`. */
export function syscallProbe(directory: string, path = '/probe'): AciFile {
  const [source, program] = [join(directory, 'probe.c'), join(directory, 'probe')];
  writeFileSync(source, SOURCE);
  execFileSync('tcc', ['-nostdlib', '-static', '-o', program, source]);
  return { path, mode: 0o755, content: readFileSync(program) };
}

/** What the program said: for each number of a call the errno, 0 for success, or a signal as a negative number. */
export function probeResults(lines: readonly string[]): ReadonlyMap<number, number> {
  const pairs = lines.flatMap((line) => line.trim().split(' ')).map((pair) => pair.split('=').map(Number));
  return new Map(pairs.map(([call = Number.NaN, result = Number.NaN]) => [call, result]));
}
