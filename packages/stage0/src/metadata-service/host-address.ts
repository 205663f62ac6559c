// Learns at which address of the host a pod asks for its metadata: its stage1 writes the URL into the pod directory once
// the pod's network is up, before apps start. Runs in the metadata service.

import { type FSWatcher, watch } from 'node:fs';

import { metadataUrlAddress } from '@rkt/pod-layout/metadata-service';
import { type PodDir, runtimeConfigFile } from '@rkt/pod-layout/pod-paths';
import { metadataServiceUrl } from '@rkt/pod-layout/runtime-config';

import { readIfThere } from '../pod/record.ts';

/** Calls `found` once with the address, now or later; the result stops waiting. */
export function watchHostAddress(pod: PodDir, found: (address: string) => void): () => void {
  let watcher: FSWatcher | undefined;
  let stopped = false;
  const stop = (): void => {
    stopped = true;
    watcher?.close();
  };
  const look = (): void => {
    const address = stopped ? undefined : hostAddress(pod);
    if (address === undefined) return;
    stop();
    found(address);
  };
  try {
    // Before the first look, so that nothing is missed between the two.
    watcher = watch(pod, look);
    watcher.on('error', stop);
  } catch {
    // The pod is gone, or the kernel watches enough already: what is there now is all that can be known.
  }
  look();
  return stop;
}

function hostAddress(pod: PodDir): string | undefined {
  try {
    const url = metadataServiceUrl(readIfThere(runtimeConfigFile(pod)) ?? '');
    return url === undefined ? undefined : metadataUrlAddress(url);
  } catch {
    return undefined;
  }
}
