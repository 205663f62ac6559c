// The command line and environment of systemd-nspawn (contract 2.12). Pure.

import {
  RKT_INSECURE_LIMITS,
  RKT_LOCK_FD,
  RKT_SELINUX_CONTEXT,
  RKT_SELINUX_MOUNT_CONTEXT,
} from '@rkt/pod-layout/environment';
import { STAGE1_ROOTFS_HERE } from '@rkt/pod-layout/pod-paths';
import { nspawnBind } from '@rkt/stage1-base/mounts';
import type { HostFile } from '@rkt/stage1-base/resolv-hosts';
import type { AppPlan } from '@rkt/stage1-systemd/host/app-plan';
import { type LimitDirective, nspawnRlimit } from '@rkt/stage1-systemd/host/resource-limits';

import type { HostManager } from './machined.ts';

const LIBRARIES = `${STAGE1_ROOTFS_HERE}/usr/lib/x86_64-linux-gnu`;

/** The image's own loader: nothing of the host is needed to run nspawn. */
export const LOADER: string = `${LIBRARIES}/ld-linux-x86-64.so.2`;

/** What nspawn is to do. */
export interface NspawnPlan {
  readonly uuid: string;
  readonly debug: boolean;
  /** The pod's app has the caller's terminal. */
  readonly terminal: boolean;
  /** `SHIFT:COUNT`. */
  readonly privateUsers?: string;
  /** The pod shares the host's IPC namespace. */
  readonly hostIpc: boolean;
  readonly protectPaths: boolean;
  /** Apps may have every capability there is. */
  readonly allCapabilities: boolean;
  readonly manager: HostManager;
  readonly selinuxProcess?: string;
  readonly selinuxMount?: string;
  readonly apps: readonly AppPlan[];
  readonly hostFiles: readonly HostFile[];
  readonly limits: readonly LimitDirective[];
}

/** The words of the command, the loader first. */
export function nspawnCommand(plan: NspawnPlan): string[] {
  const { uuid, manager } = plan;
  return [
    LOADER,
    '--inhibit-cache',
    '--library-path',
    `${LIBRARIES}:${LIBRARIES}/systemd`,
    '--argv0',
    'systemd-nspawn',
    `${STAGE1_ROOTFS_HERE}/usr/bin/systemd-nspawn`,
    '--boot',
    '--notify-ready=yes',
    ...given('-Z', plan.selinuxProcess),
    ...given('-L', plan.selinuxMount),
    `--register=${manager.machined}`,
    `--link-journal=${manager.systemd ? 'try-guest' : 'no'}`,
    // Without machined nspawn would ask the host's systemd for a scope.
    ...(manager.service || !manager.machined ? ['--keep-unit'] : []),
    ...(plan.debug ? [] : ['--quiet']),
    // Any other console would read the terminal, or end the pod when stdin does.
    `--console=${plan.terminal ? 'interactive' : 'read-only'}`,
    '--resolv-conf=off',
    ...given('--private-users=', plan.privateUsers),
    `--uuid=${uuid}`,
    `--machine=rkt-${uuid}`,
    `--directory=${STAGE1_ROOTFS_HERE}`,
    ...plan.limits.map(nspawnRlimit),
    ...plan.hostFiles.map((file) => nspawnBind({ ...file, readOnly: true, recursive: false })),
    ...plan.apps.flatMap(appArguments),
    ...(plan.allCapabilities ? ['--capability=all'] : []),
    '--',
    '--default-standard-output=tty',
    ...(plan.debug ? [] : ['--log-target=null', '--show-status=0']),
  ];
}

function appArguments({ binds, capabilities = [] }: AppPlan): string[] {
  return [
    ...binds.map(nspawnBind),
    ...(capabilities.length === 0 ? [] : [`--capability=${capabilities.join(',')}`]),
  ];
}

function given(option: string, value: string | undefined): string[] {
  return value === undefined || value === '' ? [] : [`${option}${value}`];
}

/** Variables that speak to this program and to none after it. */
const OURS: readonly string[] = [
  RKT_INSECURE_LIMITS,
  RKT_LOCK_FD,
  RKT_SELINUX_CONTEXT,
  RKT_SELINUX_MOUNT_CONTEXT,
];

/** The environment of nspawn: the caller's, and what steers nspawn. */
export function nspawnEnvironment(
  env: Readonly<Record<string, string | undefined>>,
  {
    debug,
    hostIpc,
    protectPaths,
    privateUsers,
  }: Pick<NspawnPlan, 'debug' | 'hostIpc' | 'protectPaths' | 'privateUsers'>,
): Record<string, string> {
  const result: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    // What the host set for its own nspawn and systemd is not for ours.
    const foreign = name.startsWith('SYSTEMD_') || name.startsWith('LD_') || OURS.includes(name);
    if (value !== undefined && !foreign) result[name] = value;
  }
  if (!debug) result['SYSTEMD_LOG_LEVEL'] = 'err';
  if (hostIpc) result['SYSTEMD_NSPAWN_SHARE_NS_IPC'] = 'true';
  // nspawn does not combine the two: what root of a user namespace may not write, it may not.
  if (!protectPaths && privateUsers === undefined) result['SYSTEMD_NSPAWN_API_VFS_WRITABLE'] = 'yes';
  result['SYSTEMD_NSPAWN_CONTAINER_SERVICE'] = 'rkt';
  // The run entry point has installed it.
  result['SYSTEMD_SECCOMP'] = '0';
  return result;
}
