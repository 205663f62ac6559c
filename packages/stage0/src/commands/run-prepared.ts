// `rkt run-prepared` (contract stage0 8.3). Runs in stage0, which becomes stage1.

import { createLogger } from '@rkt/diagnostics/logger';
import { quote } from '@rkt/diagnostics/quote';

import type { Invocation, RunPreparedFlags } from '../cli/requests.ts';
import { resolveDataDir } from '../config/data-dir.ts';
import { launchPod } from '../launch/launch.ts';
import { checkMetadataService, registerIfAsked } from '../launch/metadata.ts';
import { checkOverlayStillUsable } from '../launch/overlay-use.ts';
import { during, duringAsync } from '../pod/context.ts';
import { PodError } from '../pod/errors.ts';
import { resolvePod } from '../pod/find.ts';
import { movePod, takePod } from '../pod/pod.ts';
import { summarizeManifest } from '../pod/summary.ts';
import { checkNetwork } from '../prepare/checks.ts';
import { restoreCopies } from '../prepare/durable.ts';

export async function run({ global, flags, args, env }: Invocation<RunPreparedFlags>): Promise<number> {
  const data = await resolveDataDir(global);
  const { uuid, phase } = during('problem retrieving pod', () => resolvePod(data, args[0] ?? ''));
  const pod = phase === 'prepared' ? takePod(data, uuid, 'prepared') : undefined;
  if (pod === undefined) throw new PodError('wrong-state', `pod ${quote(uuid)} is not prepared`);
  const manifest = during('cannot read pod manifest', () => summarizeManifest(pod.dir));
  if (flags.interactive && manifest.apps.length > 1) {
    throw new PodError('bad-flag', 'interactive option only supports pods with one app');
  }
  checkNetwork(flags, manifest.forwardsPorts);
  checkOverlayStillUsable(data, pod.dir);
  await checkMetadataService(flags);
  const logger = createLogger({ prefix: 'stage0', debug: global.debug });
  await duringAsync("cannot copy the pod's images again", () => restoreCopies(pod, logger));
  const running = during('cannot transition to run', () => movePod(pod, 'run'));
  const mdsToken = await registerIfAsked(running, flags);
  return launchPod(running, { flags, global, env, mdsToken, logger });
}
