// Reads a pod with the full codecs of @rkt/spec. Runs in every stage1 entry point, on the host.

import { parseImageManifest } from '@rkt/spec/image-manifest';
import { parsePodManifest } from '@rkt/spec/pod-manifest';

import { readPod } from './pod.ts';
import type { LoadedPod } from './pod.ts';

export type { LoadedApp, LoadedPod } from './pod.ts';

/**
 * The pod in `directory` (absolute).
 * @throws Stage1Error `pod-unreadable`, `pod-invalid`; SpecError for a manifest that breaks the standard
 */
export function loadPod(directory: string): LoadedPod {
  return readPod(directory, { parsePodManifest, parseImageManifest });
}
