// --mds-register: what it does is loaded only when it is given. Runs in stage0.

import type { LaunchFlags } from '../cli/requests.ts';
import type { LockedPod } from '../pod/pod.ts';

type Flags = Pick<LaunchFlags, 'mdsRegister'>;

/** Fails early when the pod is to be registered and there is no service. */
export async function checkMetadataService({ mdsRegister }: Flags): Promise<void> {
  if (!mdsRegister) return;
  const { checkService } = await import('../metadata-service/register-pod.ts');
  await checkService();
}

/** Registers the pod if it is to be; gives its token. */
export async function registerIfAsked(pod: LockedPod, { mdsRegister }: Flags): Promise<string | undefined> {
  if (!mdsRegister) return undefined;
  const { registerPod } = await import('../metadata-service/register-pod.ts');
  return await registerPod(pod);
}
