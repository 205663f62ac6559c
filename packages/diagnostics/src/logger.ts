// Writes the lines users read on stderr, each with the speaker's prefix (contract stage0 1.5).
// Runs in every process.

import { writeSync } from 'node:fs';

import { formatError } from './format.ts';

/** A speaker on stderr. Each call is one write that ends in exactly one newline. */
export interface Logger {
  /** A line for the user. */
  info(message: string): void;
  /** A line that only --debug shows. */
  debug(message: string): void;
  /** An error with its context; the innermost cause, or the tree with --debug. */
  error(context: string, error: unknown): void;
}

/** Options of {@link createLogger}. */
export interface LoggerOptions {
  readonly prefix: string;
  readonly debug?: boolean;
  /** Receives whole lines; stderr by default. */
  readonly write?: (text: string) => void;
}

/** A logger that speaks as `prefix`. */
export function createLogger({ prefix, debug = false, write = writeStderr }: LoggerOptions): Logger {
  const line = (text: string): void => write(text.endsWith('\n') ? text : `${text}\n`);
  return {
    info: (message) => line(`${prefix}: ${message}`),
    debug: (message) => {
      if (debug) line(`${prefix}: ${message}`);
    },
    error: (context, error) => line(formatError(error, { prefix, context, debug })),
  };
}

/** Writes all of `text` to stderr now, so that it is out before an execve. */
export function writeStderr(text: string): void {
  writeFully(2, text);
}

/** Writes all of `text` to stdout now, so that it is out before an execve. */
export function writeStdout(text: string): void {
  writeFully(1, text);
}

/** Writes all of `bytes` to stdout now. False: nobody reads it any more. */
export function writeStdoutBytes(bytes: Uint8Array): boolean {
  return writeFully(1, bytes);
}

function writeFully(fd: number, content: string | Uint8Array): boolean {
  const bytes = typeof content === 'string' ? Buffer.from(content, 'utf8') : content;
  for (let offset = 0; offset < bytes.length;) {
    try {
      offset += writeSync(fd, bytes, offset);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // A terminal or pipe set to O_NONBLOCK by somebody else: wait for room rather than lose text.
      if (code === 'EAGAIN') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
      else if (code === 'EPIPE' || code === 'EIO') return false;
      else throw error;
    }
  }
  return true;
}
