// rkt completion: prints a script for a shell (contract stage0 1.10). Runs in stage0.

import { writeStdout } from '@rkt/diagnostics/logger';
import { quote } from '@rkt/diagnostics/quote';

import { bashCompletion } from '../cli/completion/bash.ts';
import { fishCompletion } from '../cli/completion/fish.ts';
import { SHELLS } from '../cli/completion/tables.ts';
import { zshCompletion } from '../cli/completion/zsh.ts';
import { CliError } from '../cli/errors.ts';
import type { Invocation, NoFlags } from '../cli/requests.ts';

const SCRIPTS: Readonly<Record<(typeof SHELLS)[number], () => Promise<string>>> = {
  bash: bashCompletion,
  fish: fishCompletion,
  zsh: zshCompletion,
};

export async function run({ args }: Invocation<NoFlags>): Promise<number> {
  const [word, ...more] = args;
  const choice = 'bash, fish or zsh';
  if (word === undefined || more.length > 0) {
    throw new CliError('bad-value', `must provide exactly one shell, which is ${choice}`);
  }
  const shell = SHELLS.find((each) => each === word);
  if (shell === undefined) {
    throw new CliError('bad-value', `no completion for shell ${quote(word)}, only for ${choice}`);
  }
  writeStdout(await SCRIPTS[shell]());
  return 0;
}
