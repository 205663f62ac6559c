// What can be wrong with a command line, and how a command says that it failed. Runs in stage0.

import { RktError, type RktErrorOptions } from '@rkt/diagnostics/rkt-error';

export type CliErrorCode =
  /** A flag is unknown, lacks its value, or has one that does not parse; shown with the usage. */
  | 'bad-flag'
  /** The arguments between and after images are wrong (contract stage0 1.4). */
  | 'bad-image-arguments'
  /** No command of that name, or several. */
  | 'unknown-command'
  /** A wrong number of positional arguments: the usage says it all. */
  | 'usage'
  /** One value does not parse; only its reason, without the flag it was given to. */
  | 'bad-value'
  /** A command failed; the message is the context, the cause the error. */
  | 'command-failed';

/** Error of the command line. */
export class CliError extends RktError<CliErrorCode> {}

/** Says why the text of one flag is no good. */
export function badValue(reason: string): CliError {
  return new CliError('bad-value', reason);
}

/**
 * What a command throws when its error has a context text, or an exit status other than 254:
 * the user reads `PREFIX: CONTEXT: INNERMOST CAUSE` (contract stage0 1.5).
 */
export class CommandError extends CliError {
  /** Exit status; 254 when absent. */
  readonly status: number | undefined;

  constructor(context: string, cause: unknown, options: { readonly status?: number } & RktErrorOptions = {}) {
    super('command-failed', context, { ...options, cause });
    this.status = options.status;
  }
}

/** Whether `error` itself, not one of its causes, has this code: only the outermost says what kind of failure it is. */
export function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && (error as { code?: unknown }).code === code;
}
