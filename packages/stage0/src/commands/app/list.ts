// `rkt app list` (contract stage0 8.20). Runs in stage0.

import { writeStdout } from '@rkt/diagnostics/logger';

import { findAppPod } from '../../app/sandbox.ts';
import { CommandError } from '../../cli/errors.ts';
import type { AppListFlags, Invocation } from '../../cli/requests.ts';
import { summarizeManifest } from '../../pod/summary.ts';
import { viewApps } from '../../pod/view.ts';

/** Exit status of every failure of this command. */
const EXIT_LIST_FAILED = 1;

export async function run({ global, flags, args }: Invocation<AppListFlags>): Promise<number> {
  try {
    const pod = await findAppPod(global, args[0]);
    const apps = viewApps(pod, summarizeManifest(pod.dir));
    const rows = apps.map(({ name, state }) => `${name}\t${state}`);
    writeStdout(`${[...(flags.noLegend ? [] : ['NAME\tSTATE']), ...rows].join('\n')}\n`);
    return 0;
  } catch (error) {
    throw new CommandError('error listing apps', error, { status: EXIT_LIST_FAILED });
  }
}
