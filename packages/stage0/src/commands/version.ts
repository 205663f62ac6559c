// rkt version: five lines that scripts read (contract stage0 1.10). Runs in stage0.

import { writeStdout } from '@rkt/diagnostics/logger';
import { APPC_VERSION } from '@rkt/spec/appc-version';

import { buildInfo } from '../build-info.ts';
import type { Invocation, NoFlags } from '../cli/requests.ts';

/** What this build can do, in the form of the original's build string. */
const FEATURES = '-TPM +SDJOURNAL';

export async function run(_invocation: Invocation<NoFlags>): Promise<number> {
  const { version, platform, arch } = process;
  writeStdout(
    [
      `rkt Version: ${buildInfo.version}`,
      `appc Version: ${APPC_VERSION}`,
      // The key is fixed by scripts; the runtime here is node.
      `Go Version: node ${version}`,
      `Go OS/Arch: ${platform}/${arch === 'x64' ? 'amd64' : arch}`,
      `Features: ${FEATURES}`,
      '',
    ].join('\n'),
  );
  return 0;
}
