// A program that makes every system call, with arguments that can do nothing, and says what came of each: the one way
// to compare filters that works everywhere. Runs in the mocha process; the program itself in pods.

import type { AciFile } from '@rkt/testkit/aci-builder';

import { tinyProgram } from './tiny-program.ts';

// Each call is made by a child of its own: some calls end it. Left out are those that wait or return elsewhere:
// rt_sigreturn, pause, fork, vfork, exit, exit_group.
const SOURCE = `
enum { LAST = 470, PER_LINE = 10 };
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
  if (used) { line[used++] = '\\n'; call(1, 1, (long)line, used, 0, 0, 0); used = 0; }
}
static int skipped(int n) { return n == 15 || n == 34 || n == 57 || n == 58 || n == 60 || n == 231; }
void _start(void) {
  int n, count = 0, status;
  long child, result;
  for (n = 0; n <= LAST; n++) {
    if (skipped(n)) continue;
    child = call(57, 0, 0, 0, 0, 0, 0);
    if (child == 0) {
      result = call(n, -1, -1, -1, -1, -1, -1);
      quit(result < 0 && result > -250 ? -result : 0);
    }
    status = -1;
    call(61, child, (long)&status, 0, 0, 0, 0);
    number(n); line[used++] = '='; number(status & 127 ? -(status & 127) : status >> 8); line[used++] = ' ';
    if (++count % PER_LINE == 0) flush();
  }
  flush();
  quit(0);
}
`;

/** The program as a file of an image; compiled below `directory`. */
export function syscallProbe(directory: string): AciFile {
  return tinyProgram(directory, 'probe', SOURCE);
}

/** What the program said: for each number of a call the errno, 0 for success, or a signal as a negative number. */
export function probeResults(lines: readonly string[]): ReadonlyMap<number, number> {
  const pairs = lines.flatMap((line) => line.trim().split(' ')).map((pair) => pair.split('=').map(Number));
  return new Map(pairs.map(([call = Number.NaN, result = Number.NaN]) => [call, result]));
}
