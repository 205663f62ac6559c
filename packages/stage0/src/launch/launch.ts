// Turns a prepared, locked pod into a running one: mounts, name resolution, and the exec of stage1 in this very process
// (contract stage0 8.9, 8.10; stage1 1.2). Runs in stage0, and does not return.

import { existsSync } from 'node:fs';

import { type Logger, writeStderr } from '@rkt/diagnostics/logger';
import { execProgram } from '@rkt/linux/exec';
import { openKernel } from '@rkt/linux/libc';
import {
  findEntryPoint,
  interfaceVersion,
  printRunArguments,
  readsMdsRegistration,
} from '@rkt/pod-layout/entrypoints';
import {
  RKT_INSECURE_LIMITS,
  RKT_LOCK_FD,
  RKT_SELINUX_CONTEXT,
  RKT_SELINUX_MOUNT_CONTEXT,
} from '@rkt/pod-layout/environment';
import type { SelinuxLabels } from '@rkt/pod-layout/files';
import { privateUsersFile, stage1Rootfs, type Stage1Root } from '@rkt/pod-layout/pod-paths';
import { appRootfs, onHost } from '@rkt/pod-layout/stage1-paths';

import type { GlobalFlags, LaunchFlags } from '../cli/requests.ts';
import { during } from '../pod/context.ts';
import { PodError } from '../pod/errors.ts';
import type { LockedPod } from '../pod/pod.ts';
import { readStage1Annotations, summarizeManifest } from '../pod/summary.ts';
import { readIfThere, usesOverlay } from '../pod/record.ts';
import { linkImages } from '../prepare/image-links.ts';
import { type NameResolution, nameResolution, writeNameResolution } from './dns.ts';
import { linkMtab } from './mtab.ts';
import { type MountContext, mountApp, mountStage1, podUsers } from './pod-mounts.ts';
import { rktGroupId } from './rkt-group.ts';
import { chooseLabels, labelFiles } from './selinux.ts';

/** How the pod is to be launched. */
export interface LaunchRequest {
  readonly flags: LaunchFlags;
  readonly global: GlobalFlags;
  readonly env: Readonly<Record<string, string>>;
  /** A sandbox, which apps are added to while it runs. */
  readonly mutable?: boolean;
  /** Of a pod that is registered with the metadata service. */
  readonly mdsToken?: string | undefined;
  /** Speaks as `stage0`. */
  readonly logger: Logger;
}

/** Launches the pod, which must be in `run` and locked. This process becomes stage1, with the same pid and the lock. */
export function launchPod(pod: LockedPod, request: LaunchRequest): never {
  const { flags, logger } = request;
  const resolution = during('error with dns flags', () => nameResolution(flags));
  const apps = during('cannot read pod manifest', () => summarizeManifest(pod.dir)).apps;
  if (apps.length === 0 && request.mutable !== true)
    throw new PodError('bad-manifest', 'pod must contain at least one application');
  logger.debug('Setting up stage1');
  const labels = chooseLabels(pod.data, pod.dir, (line) => writeStderr(`${line}\n`));
  if (labels !== undefined) {
    const unlabelled = labelFiles(openKernel(), [pod.dir], labels.file);
    if (unlabelled !== undefined) logger.debug(`cannot label files of the pod for SELinux: ${unlabelled}`);
  }
  const root = setUpRoot(
    pod,
    apps.map(({ name, imageId }) => ({ name, key: imageId })),
  );
  writeNameResolution(root, resolution);
  logger.debug(`Wrote filesystem to ${pod.dir}`);
  return execStage1(pod, resolution, labels, request);
}

function setUpRoot(
  pod: LockedPod,
  apps: readonly { readonly name: string; readonly key: string }[],
): Stage1Root {
  const kernel = openKernel();
  const root = stage1Rootfs(pod.dir);
  if (usesOverlay(pod.dir)) {
    const context: MountContext = { kernel, data: pod.data, groupId: rktGroupId() ?? -1 };
    during('error mounting stage1', () => mountStage1(pod.dir, context));
    for (const { name } of apps)
      during(`error mounting app ${name}`, () => mountApp(pod.dir, root, name, context));
    linkImages(root, apps);
  }
  const shift = podUsers(pod.dir)?.shift ?? 0;
  for (const { name } of apps) linkMtab(kernel, appRootfs(root, name), shift);
  return root;
}

function execStage1(
  pod: LockedPod,
  resolution: NameResolution,
  labels: SelinuxLabels | undefined,
  { flags, global, env, mdsToken, mutable = false, logger }: LaunchRequest,
): never {
  const annotations = readStage1Annotations(pod.dir);
  const program = during("error determining 'run' entrypoint", () =>
    onHost(stage1Rootfs(pod.dir), findEntryPoint(annotations, 'run')),
  );
  if (!existsSync(program)) throw new PodError('stage1', `stage1 has no file ${program}`);
  const privateUsers = readIfThere(privateUsersFile(pod.dir))?.trim();
  // Everybody can read argv, so the token is there only for a stage1 that knows no other way.
  const tokenInArgv = mdsToken !== undefined && !readsMdsRegistration(annotations);
  if (tokenInArgv) writeStderr(`${TOKEN_IN_ARGV}\n`);
  const { argv, warnings } = printRunArguments(
    {
      debug: global.debug,
      net: flags.net,
      interactive: flags.interactive,
      ...(privateUsers && { privateUsers }),
      ...(tokenInArgv && { mdsToken }),
      localConfig: global.localConfig,
      hostname: flags.hostname,
      resolvMode: resolution.resolvMode,
      hostsMode: resolution.hostsMode,
      disableCapabilities: global.insecure.capabilities,
      disablePaths: global.insecure.paths,
      disableSeccomp: global.insecure.seccomp,
      mutable,
      ipc: flags.ipc,
      uuid: pod.uuid,
    },
    interfaceVersion(annotations),
  );
  for (const warning of warnings) writeStderr(`${warning}\n`);
  logger.debug(`Pivoting to filesystem ${pod.dir}`);
  logger.debug(`Execing [${[program, ...argv].join(' ')}]`);
  process.chdir(pod.dir);
  // It is the flag's to say.
  const { [RKT_INSECURE_LIMITS]: _said, ...inherited } = env;
  return execProgram(
    program,
    [program, ...argv],
    {
      ...inherited,
      [RKT_LOCK_FD]: String(pod.lock.fd),
      ...(global.insecure.limits ? { [RKT_INSECURE_LIMITS]: 'true' } : {}),
      [RKT_SELINUX_CONTEXT]: env[RKT_SELINUX_CONTEXT] ?? labels?.process ?? '',
      [RKT_SELINUX_MOUNT_CONTEXT]: env[RKT_SELINUX_MOUNT_CONTEXT] ?? labels?.file ?? '',
    },
    { keepOpen: [pod.lock.fd, ...activationSockets(env)] },
  );
}

const TOKEN_IN_ARGV =
  'warning: stage1 takes the metadata token as an argument, which all users of this host can read';

// Sockets that systemd handed us are for the pod (sd_listen_fds(3)): our pid is going to be its supervisor's.
function activationSockets({ LISTEN_PID, LISTEN_FDS }: Readonly<Record<string, string>>): number[] {
  if (LISTEN_PID !== String(process.pid) || !/^\d{1,4}$/.test(LISTEN_FDS ?? '')) return [];
  return Array.from({ length: Number(LISTEN_FDS) }, (_, index) => FIRST_LISTEN_FD + index);
}

const FIRST_LISTEN_FD = 3;
