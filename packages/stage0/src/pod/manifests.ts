// The manifests of a pod, read through the codecs. Apart from record.ts, so that commands which only list pods do not
// load the codecs. Runs in stage0.

import { readFileSync } from 'node:fs';

import { type PodDir, podManifestFile, stage1ManifestFile } from '@rkt/pod-layout/pod-paths';
import { type ImageManifest, parseImageManifest } from '@rkt/spec/image-manifest';
import { parsePodManifest, type PodManifest } from '@rkt/spec/pod-manifest';

/** The pod manifest. */
export function readPodManifest(pod: PodDir): PodManifest {
  return parsePodManifest(readFileSync(podManifestFile(pod), 'utf8'));
}

/** The manifest of the pod's stage1 image, in the pod's own copy. */
export function readStage1Manifest(pod: PodDir): ImageManifest {
  return parseImageManifest(readFileSync(stage1ManifestFile(pod), 'utf8'));
}
