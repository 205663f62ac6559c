// The run entry point: prepares the pod on the host and becomes qemu (contract stage1 4). Has rkt's pid and the pod
// directory as its working directory.

import { accessSync, constants, mkdirSync, openSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { isatty } from 'node:tty';

import { EXIT_FAILURE } from '@rkt/diagnostics/exit';
import { writeStderr } from '@rkt/diagnostics/logger';
import { quote } from '@rkt/diagnostics/quote';
import { execProgram, nofileLimitAtStart } from '@rkt/linux/exec';
import type { Kernel } from '@rkt/linux/kernel';
import { openKernel } from '@rkt/linux/libc';
import type { RunArguments } from '@rkt/pod-layout/entrypoints';
import {
  DEFAULT_PATH,
  RKT_KVM_ACCELERATOR,
  RKT_KVM_BOOT_SECONDS,
  RKT_KVM_KERNEL_PARAMETERS,
} from '@rkt/pod-layout/environment';
import { podDir, virtualMachineDir } from '@rkt/pod-layout/pod-paths';
import { onHost, POD_EXIT } from '@rkt/pod-layout/stage1-paths';
import { activationSockets } from '@rkt/stage1-base/activation-sockets';
import { parseRunArguments } from '@rkt/stage1-base/arguments';
import type { EntryPointCall } from '@rkt/stage1-base/entry-point';
import { linkFlavor } from '@rkt/stage1-base/flavor';
import { lockDescriptor } from '@rkt/stage1-base/lock-fd';
import { writePid } from '@rkt/stage1-base/pids';
import { createPodCgroup, joinPodCgroup } from '@rkt/stage1-base/pod-cgroup';
import type { LoadedPod } from '@rkt/stage1-base/pod';
import { loadPodQuickly } from '@rkt/stage1-base/quick-load-pod';
import { writeNew } from '@rkt/stage1-base/write-new';
import { writeRuntimeConfig } from '@rkt/stage1-base/write-runtime-config';
import { writeIdentity } from '@rkt/stage1-systemd/host/identity';
import { isAttachable } from '@rkt/stage1-systemd/host/io-modes';
import { prepareJournal } from '@rkt/stage1-systemd/host/journal';
import { diagnoseStart, type PlanContext, planApps, podResources } from '@rkt/stage1-systemd/host/plan-apps';
import { currentLimits } from '@rkt/stage1-systemd/host/resource-limits';
import { mirrorTimeZone } from '@rkt/stage1-systemd/host/time-zone';
import { writePod } from '@rkt/stage1-systemd/host/write-pod';

import { chooseAccelerator, hostFacts } from './accelerator.ts';
import { KvmError } from './errors.ts';
import { findFileServer, startFileServer } from './file-server.ts';
import { machineSize } from './machine-size.ts';
import { type PodNetwork, setUpNetwork } from './network.ts';
import { ENTER_SLOTS, enterSlotDir, qemuArguments } from './qemu-args.ts';
import { qemuEnvironment } from './qemu-environment.ts';
import { shareRoot } from './shared-root.ts';

const QEMU = 'qemu-system-x86_64';
const FILE_MODE = 0o644;

/** Room for a status: the guest writes over it, also when the disk has become full. */
const NO_STATUS = '----\n';

/** Limits are the guest's to enforce: its systemd has all of them. */
const GUEST_ABILITIES = { version: 2, controllers: ['cpu', 'memory'], leastOomScoreAdjust: -1000 } as const;

/** Becomes qemu. @throws RktError when the pod cannot be started */
export async function init(call: EntryPointCall): Promise<number> {
  const { args, env, cwd, pid, logger } = call;
  const options = parseRunArguments(args);
  refuseUnsupported(options);
  const qemu = findQemu(env['PATH'] ?? DEFAULT_PATH);
  const fileServer = findFileServer();
  const accelerator = chooseAccelerator(env[RKT_KVM_ACCELERATOR], hostFacts);
  const dir = podDir(cwd);
  const lockFd = lockDescriptor(env);
  const kernel = openKernel();
  const pod = await loadPodQuickly(cwd);
  refuseAttaching(pod, options);
  writeRuntimeConfig(dir, options);
  const cgroup = createPodCgroup(dir, options.uuid);
  const joined = cgroup === undefined ? undefined : joinPodCgroup(cgroup);
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
  const { hostFiles, metadataUrl } = writeIdentity(pod, options, network);
  const warn = (line: string): void => writeStderr(`${line}\n`);
  if (activationSockets(env, pid).descriptors.length > 0) {
    warn('warning: sockets of the host do not reach a virtual machine: it makes its own');
  }
  const context: PlanContext = {
    options,
    roots: { wholeSys: true },
    users: undefined,
    abilities: () => GUEST_ABILITIES,
    allowUnlimited: false,
    warn,
  };
  const apps = await planApps(pod, context);
  await writePod(pod, apps, {
    uuid: options.uuid,
    warn,
    metadataUrl,
    interactive: options.interactive,
    terminal: '/dev/hvc0',
    protectPaths: !options.disablePaths,
    limits: currentLimits(nofileLimitAtStart()),
    diagnose: diagnoseStart,
    podResources: await podResources(pod, context),
  });
  prepareJournal(kernel, pod.stage1, logger.debug);
  linkFlavor(dir, pod.stage1);
  writeNew(onHost(pod.stage1, POD_EXIT), NO_STATUS, FILE_MODE);
  mkdirSync(virtualMachineDir(dir), { mode: 0o700 });
  for (let slot = 1; slot <= ENTER_SLOTS; slot += 1) mkdirSync(enterSlotDir(slot), { mode: 0o700 });
  await joined;

  const devices = await network.attach();
  shareRoot(kernel, pod.stage1, apps, hostFiles);
  const files = await startFileServer(kernel, dir, { program: fileServer, root: pod.stage1, pid });
  writePid(dir, pid);
  const [monitor, ours] = kernel.socketPair();
  const command = qemuArguments({
    uuid: options.uuid,
    accelerator,
    size: machineSize(
      apps.map(({ loaded }) => loaded.app),
      availableParallelism(),
    ),
    files: files.socket,
    monitor,
    devices,
    terminal: options.interactive && isatty(0) && isatty(1),
    kernelWords: env[RKT_KVM_KERNEL_PARAMETERS] ?? '',
    debug: options.debug,
  });
  logger.debug(`Execing [${[qemu, ...command].join(' ')}]`);
  const environment = qemuEnvironment({
    path: env['PATH'] ?? DEFAULT_PATH,
    monitor: ours,
    letters: files.letters,
    bootSeconds: env[RKT_KVM_BOOT_SECONDS],
  });
  if (!options.interactive) muteInput(kernel);
  return execProgram(qemu, [QEMU, ...command], environment, {
    keepOpen: [lockFd, monitor, ours, files.ended, files.letters, ...devices.map(({ fd }) => fd)],
  });
}

// The apps do not read it, and whoever started rkt may use it for something else.
function muteInput(kernel: Kernel): void {
  kernel.duplicateTo(openSync('/dev/null', 'r'), 0);
}

function refuseUnsupported({ privateUsers, ipc = 'auto' }: RunArguments): void {
  if (privateUsers !== undefined) {
    throw new KvmError(
      'unsupported',
      'a pod in a virtual machine has users of its own: --private-users is not for it',
    );
  }
  if (ipc === 'parent') {
    throw new KvmError(
      'unsupported',
      'a pod in a virtual machine cannot share ipc with the host: --ipc=parent',
    );
  }
}

function refuseAttaching({ apps }: LoadedPod, { interactive }: RunArguments): void {
  const app = apps.find((each) => isAttachable(each, interactive));
  if (app === undefined) return;
  throw new KvmError(
    'unsupported',
    `app ${quote(app.name)}: nobody can attach to an app in a virtual machine`,
    {
      hint: 'use another mode than "tty" and "stream" for its streams, or another stage1 image',
    },
  );
}

function findQemu(search: string): string {
  const found = search
    .split(':')
    .map((directory) => path.join(directory, QEMU))
    .find(isExecutable);
  if (found !== undefined) return found;
  throw new KvmError('no-hypervisor', `${QEMU} is not installed: install the Debian package qemu-system-x86`);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return path.isAbsolute(file);
  } catch {
    return false;
  }
}
