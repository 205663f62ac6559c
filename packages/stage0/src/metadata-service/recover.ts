// Finds the pods that an earlier service knew: those that run keep their registration in their directories. Runs in the
// metadata service, before it listens.

import { readFileSync } from 'node:fs';

import type { Logger } from '@rkt/diagnostics/logger';
import type { DataDir } from '@rkt/pod-layout/data-dir';
import { mdsRegistrationFile, parseMdsRegistration } from '@rkt/pod-layout/metadata-service';
import { parseImageManifest } from '@rkt/spec/image-manifest';

import { walkPods } from '../pod/find.ts';
import { readPodManifest } from '../pod/manifests.ts';
import type { PodSnapshot } from '../pod/pod.ts';
import { readAppImageManifestText } from '../pod/record.ts';
import type { Registry } from './registry.ts';

/** Registers again the running pods of one data directory. What cannot be read is told to the user and left out. */
export function recoverPods(registry: Registry, data: DataDir, logger: Logger): void {
  try {
    for (const pod of walkPods(data, ['run'], logger)) {
      if (pod.phase === 'running') recoverPod(registry, pod, logger);
    }
  } catch (error) {
    logger.error(`cannot look for pods that are registered in ${data}`, error);
  }
}

function recoverPod(registry: Registry, { data, uuid, dir }: PodSnapshot, logger: Logger): void {
  try {
    const { token } = parseMdsRegistration(readFileSync(mdsRegistrationFile(dir), 'utf8'));
    const manifest = readPodManifest(dir);
    const images = manifest.apps.map(
      ({ name }) => [name, parseImageManifest(readAppImageManifestText(dir, name))] as const,
    );
    if (!registry.add({ uuid, manifest, data }, token)) return;
    for (const [name, image] of images) registry.addImage(uuid, name, image);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    logger.error(`cannot recover pod ${uuid}`, error);
  }
}
