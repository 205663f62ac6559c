// From a loaded pod to its one app, in this very process (contract 3). Runs on the host with rkt's pid.

import { mkdirSync, readFileSync } from 'node:fs';

import { type Logger, writeStdout } from '@rkt/diagnostics/logger';
import { openKernel } from '@rkt/linux/libc';
import type { RunArguments } from '@rkt/pod-layout/entrypoints';
import { printEnvironment } from '@rkt/pod-layout/files';
import { METADATA_LOOPBACK } from '@rkt/pod-layout/metadata-service';
import { podDir } from '@rkt/pod-layout/pod-paths';
import { ENV_DIR, envFile, onHost } from '@rkt/pod-layout/stage1-paths';
import { appEnvironment } from '@rkt/stage1-base/app-env';
import { findExecutable, workingDirectory } from '@rkt/stage1-base/find-exec';
import { metadataAccess } from '@rkt/stage1-base/metadata';
import { writePgid, writePid } from '@rkt/stage1-base/pids';
import type { LoadedApp, LoadedPod } from '@rkt/stage1-base/pod';
import { loadPodQuickly } from '@rkt/stage1-base/quick-load-pod';
import { resolveCredentials } from '@rkt/stage1-base/user';
import { writeNew } from '@rkt/stage1-base/write-new';
import { writeRuntimeConfig } from '@rkt/stage1-base/write-runtime-config';
import { prepareLaunch } from '@rkt/stage2/launch-app';

import { enterOwnMountNamespace, mountAll } from './app-mounts.ts';
import { FlyError } from './errors.ts';
import { planMounts } from './mount-plan.ts';
import type { EntryPointCall } from './run.ts';

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
  const loaded = onlyApp(pod);
  warnOfIsolators(loaded, logger);
  const executable = findExecutable(loaded);
  mountApp(pod, loaded, options);
  writePid(dir, pid);
  writePgid(dir, processGroup());
  const credentials = resolveCredentials(loaded);
  const environment = appEnvironment(loaded, metadata?.url);
  const envFileMode = metadata === undefined ? ENV_FILE_MODE : SECRET_ENV_FILE_MODE;
  mkdirSync(onHost(pod.stage1, ENV_DIR), { recursive: true, mode: ENV_DIR_MODE });
  writeNew(envFile(pod.stage1, loaded.name), printEnvironment(environment), envFileMode);
  const sockets = inheritedSockets(env, pid);

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
  return launch();
}

function onlyApp({ apps }: LoadedPod): LoadedApp {
  const [app] = apps;
  if (app === undefined || apps.length > 1) {
    throw new FlyError('unsupported', 'fly only supports 1 application per Pod for now');
  }
  return app;
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

// The standard wants users to know when an isolator has no effect.
function warnOfIsolators({ app }: LoadedApp, logger: Logger): void {
  const names = [...new Set((app.isolators ?? []).map(({ name }) => name))];
  if (names.length > 0) logger.info(`warning: fly does not isolate, ignoring ${names.join(', ')}`);
}

// Field 5 of proc_pid_stat(5); the name before it may hold anything.
function processGroup(): number {
  const stat = readFileSync('/proc/self/stat', 'latin1');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2]);
}

const FIRST_SOCKET = 3;

// sd_listen_fds(3): the pid has not changed since the service manager started rkt.
function inheritedSockets(
  env: EntryPointCall['env'],
  pid: number,
): { descriptors: number[]; variables: { name: string; value: string }[] } {
  const count = Number(env['LISTEN_FDS'] ?? 0);
  if (env['LISTEN_PID'] !== String(pid) || !Number.isInteger(count) || count < 1 || count > 1024) {
    return { descriptors: [], variables: [] };
  }
  const names = ['LISTEN_FDS', 'LISTEN_PID', 'LISTEN_FDNAMES'];
  return {
    descriptors: Array.from({ length: count }, (_, index) => FIRST_SOCKET + index),
    variables: names.flatMap((name) => (env[name] === undefined ? [] : [{ name, value: env[name] }])),
  };
}
