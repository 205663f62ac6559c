// From a loaded pod to its one app, in this very process (contract 3). Runs on the host with rkt's pid.

import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';

import { type Logger, writeStdout } from '@rkt/diagnostics/logger';
import { quote } from '@rkt/diagnostics/quote';
import { openKernel } from '@rkt/linux/libc';
import type { RunArguments } from '@rkt/pod-layout/entrypoints';
import { printEnvironment } from '@rkt/pod-layout/files';
import { METADATA_LOOPBACK } from '@rkt/pod-layout/metadata-service';
import { podDir } from '@rkt/pod-layout/pod-paths';
import { ENV_DIR, envFile, onHost } from '@rkt/pod-layout/stage1-paths';
import { attachableStream, chosenStreamModes, STREAM_NAMES, type StreamModes } from '@rkt/pod-layout/streams';
import { activationSockets } from '@rkt/stage1-base/activation-sockets';
import { appEnvironment } from '@rkt/stage1-base/app-env';
import type { EntryPointCall } from '@rkt/stage1-base/entry-point';
import { findExecutable, workingDirectory } from '@rkt/stage1-base/find-exec';
import { metadataAccess } from '@rkt/stage1-base/metadata';
import { writePgid, writePid } from '@rkt/stage1-base/pids';
import { type LoadedApp, type LoadedPod, onlyApp } from '@rkt/stage1-base/pod';
import { loadPodQuickly } from '@rkt/stage1-base/quick-load-pod';
import { enterOwnMountNamespace, mountAll } from '@rkt/stage1-base/root-mounts';
import { resolveCredentials } from '@rkt/stage1-base/user';
import { writeNew } from '@rkt/stage1-base/write-new';
import { writeRuntimeConfig } from '@rkt/stage1-base/write-runtime-config';
import { prepareLaunch } from '@rkt/stage2/launch-app';

import { FlyError } from './errors.ts';
import { planMounts } from './mount-plan.ts';

const ENV_FILE_MODE = 0o644;
/** Of an environment with the token of the metadata service in it. */
const SECRET_ENV_FILE_MODE = 0o600;
const ENV_DIR_MODE = 0o755;

/** What has been found out and begun before this program was loaded. */
export interface BegunRun {
  readonly options: RunArguments;
  readonly lockFd: number;
  /** The move into the pod's cgroup; undefined where there is none. */
  readonly joined: Promise<void> | undefined;
}

/**
 * Becomes the app once the pod's cgroup is joined; returns an exit status only when the app's program cannot be
 * executed.
 * @throws RktError
 */
export async function becomeApp(
  { env, cwd, pid, logger }: EntryPointCall,
  { options, lockFd, joined }: BegunRun,
): Promise<number> {
  warnOfIgnoredFlags(options);
  const dir = podDir(cwd);
  const pod = await loadPodQuickly(cwd);
  // In argv the token is ignored, as the warning says (contract 3); in the pod directory it is not.
  const metadata = metadataAccess(dir, {}, METADATA_LOOPBACK);
  writeRuntimeConfig(dir, options, metadata);
  const loaded = onlyApp(pod, 'fly only supports 1 application per Pod for now');
  warnOfIgnored(pod, loaded, options, logger);
  const streams = chosenStreams(loaded);
  const executable = findExecutable(loaded);
  mountApp(pod, loaded, options);
  writePid(dir, pid);
  writePgid(dir, processGroup());
  const credentials = resolveCredentials(loaded);
  const environment = appEnvironment(loaded, metadata?.url);
  const envFileMode = metadata === undefined ? ENV_FILE_MODE : SECRET_ENV_FILE_MODE;
  mkdirSync(onHost(pod.stage1, ENV_DIR), { recursive: true, mode: ENV_DIR_MODE });
  writeNew(envFile(pod.stage1, loaded.name), printEnvironment(environment), envFileMode);
  const sockets = activationSockets(env, pid);

  const launch = prepareLaunch({
    root: loaded.rootfs,
    workingDirectory: workingDirectory(loaded),
    executable,
    argv: [executable, ...loaded.app.exec.slice(1)],
    environment: [...environment, ...sockets.variables],
    ...credentials,
    // The lock lives as long as any process of the pod.
    keepOpen: [lockFd, ...sockets.descriptors],
  });
  await joined;
  closeStreams(streams);
  return launch();
}

// What the app says nothing of is the caller's, whose streams fly hands on.
function chosenStreams({ name, runtimeApp }: LoadedApp): Partial<StreamModes> {
  const modes = chosenStreamModes(runtimeApp.annotations);
  const found = attachableStream(modes);
  if (found === undefined) return modes;
  throw new FlyError(
    'unsupported',
    `app ${quote(name)}: ${found.stream} mode ${quote(found.mode)} is not possible with fly: nobody could be attached to`,
  );
}

function closeStreams(modes: Partial<StreamModes>): void {
  STREAM_NAMES.forEach((stream, fd) => {
    if (modes[stream] !== 'null') return;
    const nowhere = openSync('/dev/null', fd === 0 ? 'r' : 'w');
    openKernel().duplicateTo(nowhere, fd);
    closeSync(nowhere);
  });
}

function mountApp(pod: LoadedPod, loaded: LoadedApp, options: RunArguments): void {
  const mounts = planMounts(pod, loaded, options);
  const kernel = openKernel();
  enterOwnMountNamespace(kernel);
  mountAll(kernel, loaded.rootfs, mounts, {
    readOnly: loaded.runtimeApp.readOnlyRootFS === true,
    defaultHosts: options.hostsMode === 'default',
  });
}

function warnOfIgnoredFlags({ mdsToken, hostname }: RunArguments): void {
  if (mdsToken !== undefined) writeStdout('Warning: -mds-token not supported; ignoring\n');
  if (hostname !== undefined) writeStdout('Warning: -hostname not supported; ignoring\n');
}

/** Networks of which nobody expects to be kept apart from the host: the default of every pod, and what fly has. */
const EXPECTED_NETWORKS: readonly string[] = ['default', 'host'];

// Users are to know what has no effect: the standard asks for it, and whoever wanted no network must not believe in it.
function warnOfIgnored(
  { manifest }: LoadedPod,
  { app }: LoadedApp,
  { net }: RunArguments,
  logger: Logger,
): void {
  const isolators = [...(manifest.isolators ?? []), ...(app.isolators ?? [])].map(({ name }) => name);
  const handlers = (app.eventHandlers ?? []).map(({ name }) => name);
  const networks = net.filter((name) => !EXPECTED_NETWORKS.includes(name));
  const ports = (manifest.ports ?? []).map(({ name }) => name);
  for (const [why, names] of [
    ['fly does not isolate, ignoring', isolators],
    ['fly runs no event handlers, ignoring', handlers],
    ["fly's app has the host's network, ignoring", networks.map((name) => `--net=${name}`)],
    ["fly's app has the host's network, ignoring the forwarding of ports", ports],
  ] as const) {
    if (names.length > 0) logger.info(`warning: ${why} ${[...new Set(names)].join(', ')}`);
  }
}

// Field 5 of proc_pid_stat(5); the name before it may hold anything.
function processGroup(): number {
  const stat = readFileSync('/proc/self/stat', 'latin1');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2]);
}
