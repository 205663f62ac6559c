// What the user reads of an error that ended a command, or one item of its work (contract stage0 1.5). Runs in stage0.

import { formatError } from '@rkt/diagnostics/format';

import { type CommandError, isCode } from './errors.ts';

const CONTEXT_CODES = ['wrapped', 'command-failed', 'bad-image-arguments'];

/** `PREFIX: CONTEXT: CAUSE`, where the outermost link that only says what was being done is the context. */
export function failureText(error: unknown, prefix: string, debug: boolean): string {
  const { message, cause } = error as CommandError;
  const contextual = cause !== undefined && CONTEXT_CODES.some((code) => isCode(error, code));
  return contextual
    ? formatError(cause, { prefix, context: message, debug })
    : formatError(error, { prefix, debug });
}
