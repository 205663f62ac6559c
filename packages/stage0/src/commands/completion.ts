// rkt completion: prints a script for a shell (contract stage0 1.10). Runs in stage0.

import { writeStdout } from '@rkt/diagnostics/logger';
import { quote } from '@rkt/diagnostics/quote';

import { bashCompletion } from '../cli/bash-completion.ts';
import { CliError } from '../cli/errors.ts';
import type { Invocation, NoFlags } from '../cli/requests.ts';

export async function run({ args }: Invocation<NoFlags>): Promise<number> {
  const [shell, ...more] = args;
  if (shell === undefined || more.length > 0) {
    throw new CliError('bad-value', 'must provide exactly one shell, which is bash');
  }
  if (shell !== 'bash')
    throw new CliError('bad-value', `no completion for shell ${quote(shell)}, only for bash`);
  writeStdout(await bashCompletion());
  return 0;
}
