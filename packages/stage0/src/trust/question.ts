// Asks on the terminal whether a key is to be trusted (contract stage0 6.6). Runs in stage0.

import { readSync } from 'node:fs';
import { isatty } from 'node:tty';

import { type Logger, writeStdout } from '@rkt/diagnostics/logger';
import { quote } from '@rkt/diagnostics/quote';
import { hasCode } from '@rkt/diagnostics/rkt-error';

import { TrustError } from './errors.ts';

const QUESTION = 'Are you sure you want to trust this key (yes/no)?\n';

/** Whether the user says yes. @throws TrustError `no-tty` when there is nobody to ask */
export function askToTrust(prefix: string | undefined, logger: Logger): boolean {
  if (!isatty(0) || !isatty(2)) {
    const scope = prefix === undefined ? '--root' : `--prefix ${quote(prefix)}`;
    logger.info(`to trust the key, run on a terminal: rkt trust ${scope}`);
    logger.info('or give --trust-keys-from-https to accept keys from https without asking');
    throw noTerminal();
  }
  for (;;) {
    writeStdout(QUESTION);
    const answer = readLine();
    if (answer === 'yes' || answer === 'no') return answer === 'yes';
    writeStdout("Please enter 'yes' or 'no'\n");
  }
}

function noTerminal(): TrustError {
  return new TrustError('no-tty', 'unable to ask user to review fingerprint due to lack of tty');
}

// Synchronous and byte by byte: what comes after the line is not ours.
function readLine(): string {
  const byte = Buffer.alloc(1);
  let line = '';
  for (;;) {
    if (readByte(byte) === 0) throw noTerminal();
    if (byte[0] === 0x0a) return line;
    line += byte.toString('latin1');
  }
}

function readByte(byte: Buffer): number {
  for (;;) {
    try {
      return readSync(0, byte, 0, 1, null);
    } catch (error) {
      if (hasCode(error, 'EOF') || hasCode(error, 'EIO')) return 0;
      if (!hasCode(error, 'EAGAIN')) throw error;
      // Somebody else set the terminal to O_NONBLOCK.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
    }
  }
}
