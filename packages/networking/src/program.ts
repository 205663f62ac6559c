// Starts the programs that networks need, plugins and packet filter tools, and waits for them. Runs in the run and gc
// entry points, on the host. A program starts in the network namespace of the thread that calls.

import { spawn } from 'node:child_process';

/** What to start. */
export interface ProgramCall {
  readonly path: string;
  readonly args?: readonly string[];
  readonly stdin: string;
  readonly env: Readonly<Record<string, string>>;
  /** A lock that the program and all that it starts hold as descriptor 3, so that others can wait for their end. */
  readonly lockFd?: number;
  /** Keeps standard error for the message of a failure, instead of passing it on to the user. */
  readonly keepStderr?: boolean;
}

/** How it ended. */
export interface ProgramEnd {
  /** Exit status; null when a signal ended it. */
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  /** Empty unless it was kept. */
  readonly stderr: string;
}

/** Runs a program to its end. @throws Error when it cannot be started */
export function runProgram({
  path,
  args = [],
  stdin,
  env,
  lockFd,
  keepStderr = false,
}: ProgramCall): Promise<ProgramEnd> {
  return new Promise((resolve, reject) => {
    const child = spawn(path, args, {
      env: { ...env },
      stdio: ['pipe', 'pipe', keepStderr ? 'pipe' : 'inherit', ...(lockFd === undefined ? [] : [lockFd])],
    });
    const text = { stdout: '', stderr: '' };
    child.stdout?.setEncoding('utf8').on('data', (part: string) => (text.stdout += part));
    child.stderr?.setEncoding('utf8').on('data', (part: string) => (text.stderr += part));
    child.once('error', reject);
    child.once('close', (status, signal) => resolve({ status, signal, ...text }));
    // It may end without reading all of it.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(stdin);
  });
}
