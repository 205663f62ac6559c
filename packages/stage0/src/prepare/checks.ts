// What run and prepare refuse before they touch anything (contract stage0 8.3). Runs in stage0.

import { existsSync } from 'node:fs';

import { quote } from '@rkt/diagnostics/quote';
import { hasEntryPoint } from '@rkt/pod-layout/entrypoints';
import { attachableStream, chosenStreamModes } from '@rkt/pod-layout/streams';
import type { ImageManifest } from '@rkt/spec/image-manifest';
import type { PodManifest } from '@rkt/spec/pod-manifest';

import type { AppRequest, LaunchFlags, PrepareFlags, PullPolicy } from '../cli/requests.ts';
import { PrepareError } from './errors.ts';

/** @throws PrepareError `bad-flags` for flags that contradict each other, in the contract's order. */
export function checkRunFlags(flags: PrepareFlags & LaunchFlags, apps: readonly AppRequest[]): void {
  checkPullPolicy(flags);
  checkUserNamespaces(flags);
  checkNetwork(flags, flags.ports.length > 0);
  checkPodManifest(flags, apps);
  if (flags.interactive && apps.length > 1) throw refuse('interactive option only supports one image');
  checkSomethingToDo(flags, apps);
}

/** @throws PrepareError `bad-flags`, as {@link checkRunFlags}. */
export function checkPrepareFlags(flags: PrepareFlags, apps: readonly AppRequest[]): void {
  checkPullPolicy(flags);
  checkUserNamespaces(flags);
  checkPodManifest(flags, apps);
  checkSomethingToDo(flags, apps);
}

/** The policy that the flag and its two deprecated forms ask for (contract stage0 4.3). */
export function pullPolicy(flags: {
  readonly pullPolicy: PullPolicy;
  readonly storeOnly: boolean;
  readonly noStore: boolean;
}): PullPolicy {
  if (flags.storeOnly) return 'never';
  return flags.noStore ? 'update' : flags.pullPolicy;
}

/** @throws PrepareError `bad-flags` for a network that cannot do what other flags ask for. */
export function checkNetwork({ net, mdsRegister }: LaunchFlags, forwardsPorts: boolean): void {
  const names = net.map((entry) => entry.split(':', 1)[0]);
  if (forwardsPorts && names.includes('none'))
    throw refuse("--port flag does not work with 'none' networking");
  if (forwardsPorts && names.includes('host'))
    throw refuse("--port flag does not work with 'host' networking");
  if (mdsRegister && names.includes('none')) {
    throw refuse(
      "--mds-register flag does not work with --net=none. Please use 'host', 'default' or an equivalent network",
    );
  }
}

/**
 * Before the pod starts, or is even made: whether its stage1 can do what its apps want for their streams.
 * @throws PrepareError `not-supported` for streams to attach to
 */
export function checkStreams({ apps }: Pick<PodManifest, 'apps'>, stage1: ImageManifest): void {
  if (hasEntryPoint(stage1.annotations, 'attach')) return;
  for (const { name, annotations } of apps) {
    const found = attachableStream(chosenStreamModes(annotations));
    if (found === undefined) continue;
    throw new PrepareError(
      'not-supported',
      `app ${quote(name)}: ${found.stream} mode ${quote(found.mode)} needs a stage1 that can be attached to, and ${stage1.name} cannot`,
      { hint: 'use another stage1 image, or the modes interactive and null' },
    );
  }
}

function checkPullPolicy({ storeOnly, noStore }: PrepareFlags): void {
  if (storeOnly && noStore) throw refuse('both --store-only and --no-store specified');
}

function checkUserNamespaces({ privateUsers }: PrepareFlags): void {
  if (privateUsers && !existsSync('/proc/self/uid_map')) {
    throw new PrepareError(
      'not-supported',
      '--private-users is not supported, kernel compiled without user namespace support',
    );
  }
}

// A pod manifest says it all: nothing may be added to it from the command line.
function checkPodManifest(flags: PrepareFlags, apps: readonly AppRequest[]): void {
  if (flags.podManifest === undefined) return;
  const conflicts =
    apps.length > 0 ||
    flags.volumes.length > 0 ||
    flags.mounts.length > 0 ||
    flags.ports.length > 0 ||
    flags.storeOnly ||
    flags.noStore ||
    (flags.pullPolicyGiven && flags.pullPolicy !== 'new') ||
    flags.inheritEnv ||
    flags.setEnv.length > 0 ||
    flags.setEnvFile.length > 0;
  if (conflicts) throw refuse('conflicting flags set with --pod-manifest (see --help)');
}

function checkSomethingToDo({ podManifest }: PrepareFlags, apps: readonly AppRequest[]): void {
  if (podManifest === undefined && apps.length === 0) {
    throw refuse('must provide at least one image or specify the pod manifest');
  }
}

function refuse(message: string): PrepareError {
  return new PrepareError('bad-flags', message);
}
