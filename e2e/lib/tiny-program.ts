// Programs for the inside of pods that do what no shell can, without a C library; compiled by tcc where they are needed.
// Runs in the mocha process.

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import type { AciFile } from '@rkt/testkit/aci-builder';

/** What every program starts with: system calls, text on standard output, the end. */
const PRELUDE = `
static long call(long n, long a, long b, long c, long d, long e, long f) {
  long r;
  __asm__ volatile("mov %5, %%r10; mov %6, %%r8; mov %7, %%r9; syscall"
                   : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c), "m"(d), "m"(e), "m"(f)
                   : "rcx", "r8", "r9", "r10", "r11", "memory");
  return r;
}
static long length(const char *text) { long n = 0; while (text[n]) n++; return n; }
static void say(const char *text) { call(1, 1, (long)text, length(text), 0, 0, 0); }
static void quit(int status) { for (;;) call(231, status, 0, 0, 0, 0, 0); }
`;

/** A program as the file /NAME of an image; `source` defines `void _start(void)`. Needs `program:tcc`. */
export function tinyProgram(directory: string, name: string, source: string): AciFile {
  const [file, program] = [join(directory, `${name}.c`), join(directory, name)];
  writeFileSync(file, `${PRELUDE}${source}`);
  execFileSync('tcc', ['-nostdlib', '-static', '-o', program, file]);
  return { path: `/${name}`, mode: 0o755, content: readFileSync(program) };
}
