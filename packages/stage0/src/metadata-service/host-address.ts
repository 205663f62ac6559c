// Learns at which address of the host a pod asks for its metadata: its stage1 writes the URL into the pod directory once
// the pod's network is up, before apps start. Runs in the metadata service.

import { type FSWatcher, watch } from 'node:fs';

import { metadataUrlAddress } from '@rkt/pod-layout/metadata-service';
import { type PodDir, runtimeConfigFile } from '@rkt/pod-layout/pod-paths';
import { metadataServiceUrl } from '@rkt/pod-layout/runtime-config';

import { readIfThere } from '../pod/record.ts';

/** How often to look where the kernel does not tell; apps start later than that. */
const LOOK_MS = 100;

/** Calls `onChange` whenever something in a directory changes; the result stops it. */
export type WatchDirectory = (directory: string, onChange: () => void) => () => void;

/** Calls `found` once with the address, now or later; the result stops waiting. */
export function watchHostAddress(
  pod: PodDir,
  found: (address: string) => void,
  watchDirectory: WatchDirectory = watchOrLook,
): () => void {
  let stopWatching = (): void => undefined;
  let stopped = false;
  const stop = (): void => {
    stopped = true;
    stopWatching();
  };
  const look = (): void => {
    const address = stopped ? undefined : hostAddress(pod);
    if (address === undefined) return;
    stop();
    found(address);
  };
  // Before the first look, so that nothing is missed between the two.
  stopWatching = watchDirectory(pod, look);
  look();
  return stop;
}

/** By inotify(7); by looking again and again when the host has no more of it, as with some forty pods of systemd. */
export function watchOrLook(
  directory: string,
  onChange: () => void,
  watchWith: typeof watch = watch,
): () => void {
  let watcher: FSWatcher | undefined;
  let timer: NodeJS.Timeout | undefined;
  const lookOften = (): void => {
    timer ??= setInterval(onChange, LOOK_MS);
  };
  try {
    watcher = watchWith(directory, onChange).on('error', lookOften);
  } catch {
    lookOften();
  }
  return () => {
    watcher?.close();
    clearInterval(timer);
  };
}

function hostAddress(pod: PodDir): string | undefined {
  try {
    const url = metadataServiceUrl(readIfThere(runtimeConfigFile(pod)) ?? '');
    return url === undefined ? undefined : metadataUrlAddress(url);
  } catch {
    return undefined;
  }
}
