// The run entry point: prepares the pod on the host and becomes systemd-nspawn (contract 2.2). Has rkt's pid and the
// pod directory as its working directory.

import { EXIT_FAILURE } from '@rkt/diagnostics/exit';
import { writeStderr } from '@rkt/diagnostics/logger';
import { cgroupMode, hierarchies, readCgroups } from '@rkt/linux/cgroup';
import type { CgroupHierarchy } from '@rkt/linux/cgroup';
import { CLONE_NEWNS, MS_REC, MS_SHARED, MS_SLAVE } from '@rkt/linux/constants';
import { execProgram, nofileLimitAtStart } from '@rkt/linux/exec';
import type { Kernel } from '@rkt/linux/kernel';
import { openKernel } from '@rkt/linux/libc';
import type { RunArguments } from '@rkt/pod-layout/entrypoints';
import { RKT_SELINUX_CONTEXT, RKT_SELINUX_MOUNT_CONTEXT } from '@rkt/pod-layout/environment';
import { podDir } from '@rkt/pod-layout/pod-paths';
import type { PodDir } from '@rkt/pod-layout/pod-paths';
import { parseRunArguments } from '@rkt/stage1-base/arguments';
import { lockDescriptor } from '@rkt/stage1-base/lock-fd';
import { metadataAccess } from '@rkt/stage1-base/metadata';
import { writePpid } from '@rkt/stage1-base/pids';
import { createPodCgroup, joinPodCgroup, type PodCgroup } from '@rkt/stage1-base/pod-cgroup';
import type { LoadedPod } from '@rkt/stage1-base/pod';
import { loadPodQuickly } from '@rkt/stage1-base/quick-load-pod';
import { writeNameFiles } from '@rkt/stage1-base/resolv-hosts';
import { writeRuntimeConfig } from '@rkt/stage1-base/write-runtime-config';
import { prepareJournal } from '@rkt/stage1-systemd/host/journal';
import { currentLimits } from '@rkt/stage1-systemd/host/resource-limits';
import { mirrorTimeZone } from '@rkt/stage1-systemd/host/time-zone';
import { writePod } from '@rkt/stage1-systemd/host/write-pod';

import { createUnitSlices, mountCgroups } from './cgroup-mounts.ts';
import type { EntryPointCall } from './entry-point.ts';
import { NspawnError } from './errors.ts';
import { linkFlavor } from './flavor.ts';
import { hostManager, type HostManager, managerFacts } from './machined.ts';
import { type PodNetwork, setUpNetwork } from './network.ts';
import { LOADER, nspawnCommand, nspawnEnvironment, type NspawnPlan } from './nspawn-args.ts';
import { hideNspawnState } from './nspawn-state.ts';
import { diagnoseProgram, planApps } from './plan-apps.ts';
import { recordSubcgroup } from './subcgroup.ts';
import { bringUpLoopback, mountSys, protectSys } from './sys-mount.ts';

/** Flags that this flavour does not know yet. */
const UNKNOWN_FLAGS: readonly string[] = [];

/** Becomes systemd-nspawn. @throws RktError when the pod cannot be started */
export async function init(call: EntryPointCall): Promise<number> {
  const { args, env, cwd, pid, logger } = call;
  const options = parseRunArguments(args, UNKNOWN_FLAGS);
  const dir = podDir(cwd);
  const lockFd = lockDescriptor(env);
  const kernel = openKernel();
  const mounted = hierarchies();
  refuseUserNamespaces(options.privateUsers, mounted);
  const manager = hostManager(managerFacts(pid, readCgroups()));

  const pod = await loadPodQuickly(cwd);
  writeRuntimeConfig(dir, options);
  const hostIpc = sharesHostIpc(options);
  const controllers = usedControllers(pod, options);
  const cgroup = podCgroup(dir, options.uuid, manager, mounted);
  // Before joining: while the kernel moves processes, it makes no cgroup.
  if (cgroup !== undefined) createUnitSlices(mounted, cgroup.subcgroup, controllers);
  const joined = cgroup === undefined ? undefined : joinPodCgroup(cgroupsToJoin(cgroup, mounted));
  joined?.catch(() => {});

  mirrorTimeZone(pod.stage1);
  kernel.setCloseOnExec(lockFd, true);
  let network: PodNetwork;
  try {
    network = await setUpNetwork(kernel, pod, options, env);
  } catch (error) {
    logger.error('failed to setup network', error);
    return EXIT_FAILURE;
  }
  const metadata = metadataAccess(dir, options, network.hostAddress);
  if (metadata !== undefined) writeRuntimeConfig(dir, options, metadata);
  const hostname = options.hostname ?? `rkt-${options.uuid}`;
  const hostFiles = writeNameFiles(pod.stage1, { ...options, hostname, addresses: network.addresses });
  const terminal = options.interactive && (await onTerminal());
  const limits = currentLimits(nofileLimitAtStart());
  const warn = (line: string): void => writeStderr(`${line}\n`);
  const apps = await planApps(pod, {
    options,
    roots: { wholeSys: cgroupMode(mounted) === 'unified' },
    abilities: () => cgroupAbilities(mounted),
    warn,
  });
  await writePod(pod, apps, {
    uuid: options.uuid,
    metadataUrl: metadata?.url,
    interactive: options.interactive,
    protectPaths: !options.disablePaths,
    limits,
    diagnose: diagnoseProgram,
  });
  prepareJournal(kernel, pod.stage1, logger.debug);
  linkFlavor(dir, pod.stage1);

  network.enter();
  enterOwnMounts(kernel);
  hideNspawnState(kernel);
  mountSys(kernel, pod.stage1);
  if (network.own) bringUpLoopback(pod.stage1);
  if (cgroup !== undefined)
    mountCgroups(kernel, mounted, { root: pod.stage1, subcgroup: cgroup.subcgroup, controllers });
  if (!options.disablePaths) protectSys(kernel, pod.stage1);
  await joined;
  writePpid(dir, pid);

  const plan: NspawnPlan = {
    uuid: options.uuid,
    debug: options.debug,
    terminal,
    hostIpc,
    protectPaths: !options.disablePaths,
    allCapabilities: options.disableCapabilities,
    manager,
    ...label('selinuxProcess', env[RKT_SELINUX_CONTEXT]),
    ...label('selinuxMount', env[RKT_SELINUX_MOUNT_CONTEXT]),
    ...(options.privateUsers === undefined ? {} : { privateUsers: options.privateUsers }),
    apps,
    hostFiles,
    limits,
  };
  const command = nspawnCommand(plan);
  logger.debug(`Execing [${command.join(' ')}]`);
  return execProgram(LOADER, command, nspawnEnvironment(env, plan), { keepOpen: [lockFd] });
}

// The module takes longer to load than most of this function.
async function onTerminal(): Promise<boolean> {
  const { isatty } = await import('node:tty');
  return isatty(0) && isatty(1);
}

function sharesHostIpc({ ipc = 'auto' }: RunArguments): boolean {
  if (ipc === 'auto' || ipc === 'private') return false;
  if (ipc === 'parent') return true;
  throw new NspawnError('unsupported', `unknown value for --ipc parameter: ${ipc}`);
}

// Mounts of the host reach the pod, mounts of the pod stay in it.
function enterOwnMounts(kernel: Kernel): void {
  kernel.unshare(CLONE_NEWNS);
  kernel.mount(null, '/', null, MS_REC | MS_SLAVE, null);
  kernel.mount(null, '/', null, MS_REC | MS_SHARED, null);
}

// machined makes a scope, and a service has its unit: only otherwise does the pod need a cgroup from us.
function podCgroup(
  dir: PodDir,
  uuid: string,
  manager: HostManager,
  mounted: readonly CgroupHierarchy[],
): PodCgroup | undefined {
  if (!manager.machined && !manager.service) return createPodCgroup(dir, uuid, mounted);
  recordSubcgroup(dir, uuid, manager, mounted);
  return undefined;
}

function cgroupAbilities(mounted: readonly CgroupHierarchy[]): {
  version: 1 | 2;
  controllers: readonly string[];
} {
  return {
    version: cgroupMode(mounted) === 'unified' ? 2 : 1,
    controllers: mounted.flatMap(({ controllers }) => controllers),
  };
}

// systemd counts cpu and cpuacct as one.
const CONTROLLERS_OF: Readonly<Record<string, readonly string[]>> = {
  'resource/memory': ['memory'],
  'resource/cpu': ['cpu', 'cpuacct'],
  'os/linux/cpu-shares': ['cpu', 'cpuacct'],
};

// Those that the pod's systemd is to manage; the others it sees, but cannot change.
function usedControllers({ apps }: LoadedPod, { disablePaths }: RunArguments): string[] {
  const isolators = apps.flatMap(({ app }) => app.isolators ?? []);
  const limited = isolators.flatMap(({ name }) => CONTROLLERS_OF[name] ?? []);
  return [...new Set([...(disablePaths ? [] : ['devices']), ...limited])];
}

// On a hybrid host nspawn moves itself in the version 2 tree to where it is in systemd's: no need to wait for that
// here, and waiting it is, for some 10 ms.
function cgroupsToJoin(cgroup: PodCgroup, mounted: readonly CgroupHierarchy[]): PodCgroup {
  if (cgroupMode(mounted) !== 'hybrid') return cgroup;
  return { ...cgroup, directories: cgroup.directories.filter(({ version }) => version === 1) };
}

function label<Key extends string>(key: Key, value: string | undefined): { [key in Key]?: string } {
  return value === undefined || value === '' ? {} : ({ [key]: value } as { [key in Key]: string });
}

// The kernel lets nobody mount cgroup v1 from inside a user namespace, and systemd-nspawn has to.
function refuseUserNamespaces(privateUsers: string | undefined, mounted: readonly CgroupHierarchy[]): void {
  if (privateUsers === undefined || cgroupMode(mounted) === 'unified') return;
  throw new NspawnError('unsupported', 'user namespaces need a host with cgroup v2 alone', {
    hint: 'run the pod without --private-users',
  });
}
