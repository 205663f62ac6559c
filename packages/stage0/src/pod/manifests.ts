// The manifest of a pod, read through the codecs. Apart from record.ts, so that commands which do not show it whole do
// not load the codecs. Runs in stage0.

import { readFileSync } from 'node:fs';

import { type PodDir, podManifestFile } from '@rkt/pod-layout/pod-paths';
import { parsePodManifest, type PodManifest } from '@rkt/spec/pod-manifest';

/** The pod manifest. */
export function readPodManifest(pod: PodDir): PodManifest {
  return parsePodManifest(readFileSync(podManifestFile(pod), 'utf8'));
}
