// The entry point app/add: makes an app, whose image stage0 has put into the pod, known to the pod's systemd (contract
// 1.6, 8.4). Working directory P. On the host until all is decided, then in the pod's namespaces.

import { existsSync } from 'node:fs';

import { writeStderr } from '@rkt/diagnostics/logger';
import { quote } from '@rkt/diagnostics/quote';
import { cgroupMode, hierarchies } from '@rkt/linux/cgroup';
import { nofileLimitAtStart } from '@rkt/linux/exec';
import { openKernel } from '@rkt/linux/libc';
import { parseAppArguments } from '@rkt/pod-layout/crossing';
import { mayBeUnlimited } from '@rkt/pod-layout/entrypoints';
import { podDir } from '@rkt/pod-layout/pod-paths';
import type { EntryPointCall } from '@rkt/stage1-base/entry-point';
import { findPodCgroup, ownHierarchies } from '@rkt/stage1-base/pod-cgroup';
import { runningMetadataUrl } from '@rkt/stage1-base/metadata';
import { loadPodQuickly } from '@rkt/stage1-base/quick-load-pod';
import { runtimeOptions } from '@rkt/stage1-base/runtime-options';
import { readsConsole } from '@rkt/stage1-systemd/host/io-modes';
import { diagnoseStart, planApps } from '@rkt/stage1-systemd/host/plan-apps';
import { currentLimits } from '@rkt/stage1-systemd/host/resource-limits';
import { writeApps } from '@rkt/stage1-systemd/host/write-pod';

import { attachMounts, detachMounts } from './app-mounts.ts';
import { cgroupAbilities } from './cgroup-abilities.ts';
import { NspawnError } from './errors.ts';
import { enterPod, tellSystemd } from './in-pod.ts';

/** Adds the app, not started. @throws RktError, naming the app's user, program, volume or isolator */
export async function appAdd({ args, env, cwd }: EntryPointCall): Promise<number> {
  const { app: name, uuid = '' } = parseAppArguments(args);
  const dir = podDir(cwd);
  const kernel = openKernel();
  const pod = await loadPodQuickly(cwd);
  const apps = pod.apps.filter((app) => app.name === name);
  if (apps.length === 0) throw new NspawnError('no-such-app', `no app ${quote(name)} in the pod`);
  if (apps.some(readsConsole)) {
    throw new NspawnError(
      'unsupported',
      `app ${quote(name)}: stdin mode "interactive" is for pods of rkt run`,
      {
        hint: 'use stdin mode tty and rkt attach',
      },
    );
  }
  const { insecure } = runtimeOptions(dir);
  const mounted = hierarchies();
  const unified = cgroupMode(mounted) === 'unified';
  const cgroup = findPodCgroup(dir, mounted);
  const own =
    cgroup === undefined
      ? []
      : ownHierarchies(cgroup, mounted).filter(
          ({ mountPoint, version }) =>
            existsSync(`${mountPoint}${cgroup.subcgroup}`) && (!unified || version === 2),
        );
  const warn = (line: string): void => writeStderr(`${line}\n`);
  const plans = await planApps(
    { ...pod, apps },
    {
      options: {
        disableCapabilities: insecure.DisableCapabilities,
        disableSeccomp: insecure.DisableSeccomp,
      },
      roots: { wholeSys: unified },
      users: undefined,
      abilities: () => cgroupAbilities(kernel, mounted, { cgroup, own }),
      allowUnlimited: apps.every(({ runtimeApp }) => mayBeUnlimited(runtimeApp.annotations)),
      warn,
    },
  );
  await writeApps(pod, plans, {
    uuid,
    warn,
    metadataUrl: runningMetadataUrl(dir),
    interactive: false,
    mutable: true,
    protectPaths: !insecure.DisablePaths,
    limits: currentLimits(nofileLimitAtStart()),
    diagnose: diagnoseStart,
  });
  const mounts = plans.map(({ loaded, binds }) => ({
    loaded,
    detached: detachMounts(kernel, loaded, binds),
  }));

  enterPod(kernel, dir, env);
  for (const { loaded, detached } of mounts) attachMounts(kernel, loaded.rootfsInStage1, detached);
  tellSystemd('daemon-reload');
  return 0;
}
