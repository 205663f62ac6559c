// Thrown by a command whose arguments make no sense together; the user reads its usage. Runs in stage0.

import { CliError } from './errors.ts';

/** Answered with the usage of the command on stdout and exit status 254 (contract stage0 1.3). */
export class UsageError extends CliError {
  constructor() {
    super('usage', 'wrong arguments');
  }
}
