// rkt help: what COMMAND --help prints (contract stage0 1.1, 1.9). Runs in stage0.

import { EXIT_FAILURE } from '@rkt/diagnostics/exit';
import { writeStderr, writeStdout } from '@rkt/diagnostics/logger';

import { COMMAND_TREE } from '../cli/command-tree.ts';
import { findCommand } from '../cli/find-command.ts';
import { GLOBAL_FLAGS } from '../cli/flags/global.ts';
import { helpText } from '../cli/help.ts';
import type { Invocation, NoFlags } from '../cli/requests.ts';
import { unknownCommandText } from '../cli/usage-errors.ts';

export async function run({ args }: Invocation<NoFlags>): Promise<number> {
  const found = findCommand(COMMAND_TREE, args, GLOBAL_FLAGS);
  if ('unknown' in found) {
    writeStderr(await unknownCommandText(found));
    return EXIT_FAILURE;
  }
  writeStdout(await helpText(found.path));
  return 0;
}
