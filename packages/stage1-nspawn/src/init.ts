// The run entry point: prepares the pod on the host and becomes systemd-nspawn (contract 2.2). Has rkt's pid and the
// pod directory as its working directory.

import { writeFileSync } from 'node:fs';

import { EXIT_FAILURE } from '@rkt/diagnostics/exit';
import { writeStderr } from '@rkt/diagnostics/logger';
import { hasCode } from '@rkt/diagnostics/rkt-error';
import { cgroupMode, hierarchies, readCgroups } from '@rkt/linux/cgroup';
import type { CgroupHierarchy } from '@rkt/linux/cgroup';
import { CLONE_NEWNS, MS_REC, MS_SHARED, MS_SLAVE } from '@rkt/linux/constants';
import { execProgram, nofileLimitAtStart } from '@rkt/linux/exec';
import type { Kernel } from '@rkt/linux/kernel';
import { openKernel } from '@rkt/linux/libc';
import type { RunArguments } from '@rkt/pod-layout/entrypoints';
import {
  RKT_INSECURE_LIMITS,
  RKT_SELINUX_CONTEXT,
  RKT_SELINUX_MOUNT_CONTEXT,
} from '@rkt/pod-layout/environment';
import { parseUidRange, type UidRange } from '@rkt/pod-layout/files';
import { podDir } from '@rkt/pod-layout/pod-paths';
import type { PodDir } from '@rkt/pod-layout/pod-paths';
import { activationSockets } from '@rkt/stage1-base/activation-sockets';
import { parseRunArguments } from '@rkt/stage1-base/arguments';
import { boundAddresses } from '@rkt/stage1-base/bound-addresses';
import type { EntryPointCall } from '@rkt/stage1-base/entry-point';
import { linkFlavor } from '@rkt/stage1-base/flavor';
import { lockDescriptor } from '@rkt/stage1-base/lock-fd';
import { writePpid } from '@rkt/stage1-base/pids';
import { createPodCgroup, joinPodCgroup, ownHierarchies, type PodCgroup } from '@rkt/stage1-base/pod-cgroup';
import type { LoadedPod } from '@rkt/stage1-base/pod';
import { loadPodQuickly } from '@rkt/stage1-base/quick-load-pod';
import type { Owner } from '@rkt/stage1-base/write-in-root';
import { writeRuntimeConfig } from '@rkt/stage1-base/write-runtime-config';
import { writeIdentity } from '@rkt/stage1-systemd/host/identity';
import { readsConsole } from '@rkt/stage1-systemd/host/io-modes';
import { prepareJournal } from '@rkt/stage1-systemd/host/journal';
import { diagnoseStart, type PlanContext, planApps, podResources } from '@rkt/stage1-systemd/host/plan-apps';
import { currentLimits } from '@rkt/stage1-systemd/host/resource-limits';
import { mirrorTimeZone } from '@rkt/stage1-systemd/host/time-zone';
import { writePod } from '@rkt/stage1-systemd/host/write-pod';

import { cgroupAbilities } from './cgroup-abilities.ts';
import { createUnitSlices, mountCgroups, showUnifiedCgroups } from './cgroup-mounts.ts';
import { NspawnError } from './errors.ts';
import { checkInotify } from './inotify.ts';
import { hostManager, type HostManager, managerFacts } from './machined.ts';
import { type PodNetwork, setUpNetwork } from './network.ts';
import { LOADER, nspawnCommand, nspawnEnvironment, type NspawnPlan } from './nspawn-args.ts';
import { hideNspawnState } from './nspawn-state.ts';
import { podFilterProgram } from './pod-filter.ts';
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
  const manager = hostManager(managerFacts(pid, readCgroups()));

  checkInotify(kernel);
  const pod = await loadPodQuickly(cwd);
  writeRuntimeConfig(dir, options);
  const hostIpc = sharesHostIpc(options);
  const users = options.privateUsers === undefined ? undefined : parseUidRange(options.privateUsers);
  const unified = users !== undefined || cgroupMode(mounted) === 'unified';
  const controllers = usedControllers(pod, options);
  const cgroup = podCgroup(dir, options.uuid, manager, mounted);
  // Before joining: while the kernel moves processes, it makes no cgroup.
  const own =
    cgroup === undefined
      ? []
      : ownHierarchies(cgroup, mounted).filter(({ version }) => !unified || version === 2);
  if (cgroup !== undefined) createUnitSlices(own, cgroup.subcgroup, controllers);
  const joined = cgroup === undefined ? undefined : joinPodCgroup(cgroup);
  joined?.catch(() => {});

  mirrorTimeZone(pod.stage1);
  kernel.setCloseOnExec(lockFd, true);
  const warn = (line: string): void => writeStderr(`${line}\n`);
  const terminal = (options.interactive || oneReadsConsole(pod)) && (await onTerminal());
  const sockets = givenSockets(call, terminal, warn);
  const bound = boundAddresses(sockets);
  let network: PodNetwork;
  try {
    network = await setUpNetwork(kernel, pod, options, { env, sockets: bound });
  } catch (error) {
    logger.error('failed to setup network', error);
    return EXIT_FAILURE;
  }
  const { hostFiles, metadataUrl } = writeIdentity(pod, options, network);
  const limits = currentLimits(nofileLimitAtStart());
  if (!options.disablePaths && !unified && !own.some((each) => each.controllers.includes('devices'))) {
    warn('warning: rkt cannot use the devices controller here: apps can open every device they can make');
  }
  const context: PlanContext = {
    options,
    roots: { wholeSys: unified, ...(users === undefined ? {} : { owner: shiftedRoot(users) }) },
    users,
    abilities: () => cgroupAbilities(kernel, mounted, { cgroup, own }),
    allowUnlimited: env[RKT_INSECURE_LIMITS] === 'true',
    warn,
  };
  const apps = await planApps(pod, context);
  await writePod(pod, apps, {
    uuid: options.uuid,
    warn,
    metadataUrl,
    interactive: options.interactive,
    mutable: options.mutable,
    protectPaths: !options.disablePaths,
    sockets: bound,
    hostNetwork: !network.own,
    limits,
    diagnose: diagnoseStart,
    podResources: await podResources(pod, context),
  });
  prepareJournal(kernel, pod.stage1, logger.debug);
  linkFlavor(dir, pod.stage1);

  network.enter();
  if (network.own && users !== undefined) openLowPorts();
  enterOwnMounts(kernel);
  hideNspawnState(kernel);
  mountSys(kernel, pod.stage1);
  if (network.own) bringUpLoopback(pod.stage1);
  if (cgroup !== undefined && !unified)
    mountCgroups(kernel, own, { root: pod.stage1, subcgroup: cgroup.subcgroup, controllers });
  if (!options.disablePaths) protectSys(kernel, pod.stage1);
  const filter = podFilterProgram(pod, {
    // Apps that come later may ask for any.
    allCapabilities: options.disableCapabilities || options.mutable,
    devicePrograms: unified && users === undefined,
  });
  await joined;
  if (users !== undefined && cgroupMode(mounted) !== 'unified') showUnifiedCgroups(kernel);
  writePpid(dir, pid);

  const plan: NspawnPlan = {
    uuid: options.uuid,
    debug: options.debug,
    terminal,
    hostIpc,
    protectPaths: !options.disablePaths,
    allCapabilities: options.disableCapabilities || options.mutable,
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
  confinePod(kernel, filter);
  // Given sockets, nspawn closes all else, except the standard streams: its input, which it does not read, is the lock.
  if (sockets.length > 0) kernel.duplicateTo(lockFd, 0);
  const environment = nspawnEnvironment(sockets.length > 0 ? env : { ...env, LISTEN_FDS: undefined }, plan);
  return execProgram(LOADER, command, environment, { keepOpen: [lockFd, ...sockets] });
}

// nspawn needs its input for the terminal, and for the lock where there are sockets.
function givenSockets(
  { env, pid }: Pick<EntryPointCall, 'env' | 'pid'>,
  terminal: boolean,
  warn: (line: string) => void,
): readonly number[] {
  const { descriptors } = activationSockets(env, pid);
  if (!terminal || descriptors.length === 0) return descriptors;
  warn('warning: sockets of the host do not reach a pod that has the terminal: it makes its own');
  return [];
}

// nspawn would do both, but is too slow at the first, and cannot do the second once the first is done.
function confinePod(kernel: Kernel, filter: Buffer): void {
  joinNewKeyring(kernel);
  kernel.setSeccompFilter(filter);
}

function joinNewKeyring(kernel: Kernel): void {
  try {
    kernel.newSessionKeyring();
  } catch (error) {
    // The kernel has no keyrings, or whoever started rkt does not give them.
    if (!['ENOSYS', 'EPERM', 'EACCES'].some((code) => hasCode(error, code))) throw error;
  }
}

// Two would take turns at every key.
function oneReadsConsole({ apps }: LoadedPod): boolean {
  const readers = apps.filter(readsConsole);
  if (readers.length > 1) {
    throw new NspawnError('unsupported', 'only one app of a pod can have stdin mode "interactive"');
  }
  return readers.length === 1;
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

// The network namespace belongs to the host's users, so a pod with users of its own has no capability in it.
function openLowPorts(): void {
  writeFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', '0');
}

function shiftedRoot({ shift }: UidRange): Owner {
  return { uid: shift, gid: shift };
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

// systemd counts cpu and cpuacct as one.
const CONTROLLERS_OF: Readonly<Record<string, readonly string[]>> = {
  'resource/memory': ['memory'],
  'resource/cpu': ['cpu', 'cpuacct'],
  'os/linux/cpu-shares': ['cpu', 'cpuacct'],
};

// Those that the pod's systemd is to manage; the others it sees, but cannot change.
function usedControllers({ apps, manifest }: LoadedPod, { disablePaths, mutable }: RunArguments): string[] {
  // Apps that come later may have any limit.
  if (mutable) return ['devices', 'memory', 'cpu', 'cpuacct'];
  const isolators = [...(manifest.isolators ?? []), ...apps.flatMap(({ app }) => app.isolators ?? [])];
  const limited = isolators.flatMap(({ name }) => CONTROLLERS_OF[name] ?? []);
  return [...new Set([...(disablePaths ? [] : ['devices']), ...limited])];
}

function label<Key extends string>(key: Key, value: string | undefined): { [key in Key]?: string } {
  return value === undefined || value === '' ? {} : ({ [key]: value } as { [key in Key]: string });
}
