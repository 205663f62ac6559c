// Starting programs under test and reading what they say. Runs in the mocha process.
// Everything that looks at files is synchronous: libuv's threads stay in the mount namespace of the start.

import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';

import { PATIENCE } from './environment.ts';

/** How a program ended and what it wrote. */
export interface Result {
  readonly command: string;
  /** Exit status, or 128 and the signal's number as a shell would say. */
  readonly status: number;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Both streams in the order in which they arrived. */
  readonly output: string;
}

/** Options of a start. */
export interface StartOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /** Written to standard input, which then ends. Without it the program has /dev/null; `open` leaves it open. */
  readonly input?: string | { readonly open: true };
  readonly uid?: number;
  readonly gid?: number;
  /** The program is killed after this time and the test fails; 60 s by default. */
  readonly timeoutMs?: number;
}

const SIGNALS: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGKILL: 9,
  SIGPIPE: 13,
  SIGTERM: 15,
};

/** A program that was started. */
export class Running {
  readonly pid: number;
  /** Resolves when the program has ended and its streams are closed. */
  readonly ended: Promise<Result>;
  readonly #child: ChildProcess;
  #stdout = '';
  #stderr = '';
  #output = '';
  #isOver = false;
  #watchers: (() => void)[] = [];

  constructor(program: string, args: readonly string[], options: StartOptions) {
    const { env, cwd, input, uid, gid } = options;
    const timeoutMs = (options.timeoutMs ?? 60_000) * PATIENCE;
    const command = [program, ...args].join(' ');
    this.#child = spawn(program, args, {
      stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
      env: env as NodeJS.ProcessEnv,
      ...(cwd === undefined ? {} : { cwd }),
      ...(uid === undefined ? {} : { uid }),
      ...(gid === undefined ? {} : { gid }),
    });
    this.pid = this.#child.pid ?? 0;
    this.#child.stdin?.on('error', () => undefined);
    if (typeof input === 'string') this.#child.stdin?.end(input);
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text;
      this.#said(text);
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
      this.#said(text);
    });
    let late: Error | undefined;
    const timer = setTimeout(() => {
      late = new Error(`no end after ${timeoutMs} ms: ${command}\n${this.#output}`);
      this.kill('SIGKILL');
    }, timeoutMs);
    this.ended = new Promise((resolve, reject) => {
      this.#child.once('error', reject);
      this.#child.once('close', (code, signal) => {
        clearTimeout(timer);
        this.#isOver = true;
        for (const watcher of this.#watchers) watcher();
        if (late !== undefined) return reject(late);
        const status = code ?? 128 + (SIGNALS[signal ?? ''] ?? 0);
        return resolve({
          command,
          status,
          signal,
          stdout: this.#stdout,
          stderr: this.#stderr,
          output: this.#output,
        });
      });
    });
    // A test that fails before it waits must not bring the whole run down.
    this.ended.catch(() => undefined);
  }

  /** Both streams so far. */
  get output(): string {
    return this.#output;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Types into the program. */
  write(text: string): void {
    this.#child.stdin?.write(text);
  }

  closeInput(): void {
    this.#child.stdin?.end();
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /**
   * Waits until the output matches.
   *
   * @throws {Error} when the program ends or the time is over before.
   */
  async waitFor(pattern: RegExp | string, usualMs = 30_000): Promise<RegExpMatchArray> {
    const timeoutMs = usualMs * PATIENCE;
    const regex = typeof pattern === 'string' ? new RegExp(pattern.replaceAll(/[^\w\s]/g, '\\$&')) : pattern;
    const find = (): RegExpMatchArray | null => this.#output.match(regex);
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const match = find();
      if (match !== null) return match;
      if (this.#isOver) throw new Error(`ended without ${regex}:\n${this.#output}`);
      if (Date.now() > deadline) throw new Error(`no ${regex} after ${timeoutMs} ms:\n${this.#output}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 250);
        this.#watchers = [
          () => {
            clearTimeout(timer);
            resolve();
          },
        ];
      });
    }
  }

  #said(text: string): void {
    this.#output += text;
    for (const watcher of this.#watchers) watcher();
  }
}

/** Starts a program and waits for its end. */
export function execute(
  program: string,
  args: readonly string[],
  options: StartOptions = {},
): Promise<Result> {
  return new Running(program, args, options).ended;
}

/**
 * Calls `probe` until it gives something that is not false, undefined or null.
 *
 * @throws {Error} with `what` in its message when the time is over.
 */
export async function eventually<T>(
  what: string,
  probe: () => T | Promise<T>,
  usualMs = 15_000,
): Promise<NonNullable<T>> {
  const timeoutMs = usualMs * PATIENCE;
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const value = await probe();
    if (value !== false && value !== undefined && value !== null) return value;
    if (Date.now() > deadline) throw new Error(`still not after ${timeoutMs} ms: ${what}`);
    await sleep(20);
  }
}

/** Resolves after `ms` milliseconds. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

/** `words` as one line for a shell. */
export function shellQuote(words: readonly string[]): string {
  return words.map((word) => `'${word.replaceAll("'", String.raw`'\''`)}'`).join(' ');
}
