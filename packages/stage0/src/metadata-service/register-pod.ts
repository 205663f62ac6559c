// Tells the metadata service about a pod that is about to start, and about one that is gone (contract stage0 8.13,
// stage1 6.3). Runs in stage0; loaded only for pods that are, or are to be, registered.

import { randomBytes } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';

import { wrap } from '@rkt/diagnostics/rkt-error';
import {
  MDS_REGISTRATION_MODE,
  mdsRegistrationFile,
  METADATA_PORT,
  parseMdsRegistration,
  printMdsRegistration,
} from '@rkt/pod-layout/metadata-service';
import { mdsRegisteredMark, POD_FILE_MODE, podManifestFile } from '@rkt/pod-layout/pod-paths';

import type { LockedPod } from '../pod/pod.ts';
import { readAppImageManifestText } from '../pod/record.ts';
import { summarizeManifest } from '../pod/summary.ts';
import { askService, probeService, SERVICE, type ServiceAccess } from './client.ts';

const TOKEN_BYTES = 16;
const FAILED = 'failed to register the pod';

/** Fails now rather than when the pod is ready. @throws an error with the context `failed to register the pod` */
export async function checkService(access: ServiceAccess = SERVICE): Promise<void> {
  try {
    await probeService(access);
  } catch (cause) {
    throw wrap(FAILED, cause);
  }
}

/**
 * Registers a pod that is in `run` and locked, and leaves what its stage1 needs in its directory.
 * Returns the token.
 * @throws an error with the context `failed to register the pod`; the pod is then not registered
 */
export async function registerPod(pod: LockedPod, access: ServiceAccess = SERVICE): Promise<string> {
  const token = randomBytes(TOKEN_BYTES).toString('hex');
  try {
    const answer = await askService(
      {
        method: 'PUT',
        path: `/pods/${pod.uuid}`,
        query: { token, data: pod.data },
        body: readFileSync(podManifestFile(pod.dir), 'utf8'),
      },
      access,
    );
    writeRegistration(pod, token, answer);
    for (const { name } of summarizeManifest(pod.dir).apps) {
      const body = readAppImageManifestText(pod.dir, name);
      await askService({ method: 'PUT', path: `/pods/${pod.uuid}/${name}`, body }, access);
    }
    return token;
  } catch (cause) {
    await undo(pod, access);
    throw wrap(FAILED, cause);
  }
}

/** Takes a registered pod out of the service. One the service does not know, or no longer, is fine. */
export async function unregisterPod(
  { uuid }: Pick<LockedPod, 'uuid'>,
  access: ServiceAccess = SERVICE,
): Promise<void> {
  try {
    // The service finds out by itself, so whoever collects garbage need not wait for it.
    await askService({ method: 'DELETE', path: `/pods/${uuid}` }, { ...access, tries: 1 });
  } catch (error) {
    if (!(error as Error).message.endsWith('returned 404')) throw error;
  }
}

// The service of rkt 1.30 answers with nothing.
function writeRegistration({ dir }: LockedPod, token: string, answer: string): void {
  const registration = answer === '' ? { token, port: METADATA_PORT } : parseMdsRegistration(answer, token);
  writeFileSync(mdsRegistrationFile(dir), printMdsRegistration(registration), {
    mode: MDS_REGISTRATION_MODE,
  });
  writeFileSync(mdsRegisteredMark(dir), '', { mode: POD_FILE_MODE });
}

async function undo(pod: LockedPod, access: ServiceAccess): Promise<void> {
  try {
    await unregisterPod(pod, access);
  } catch {
    // What failed first says more, and the service drops the pod when this process ends.
  }
  for (const file of [mdsRegistrationFile(pod.dir), mdsRegisteredMark(pod.dir)])
    rmSync(file, { force: true });
}
