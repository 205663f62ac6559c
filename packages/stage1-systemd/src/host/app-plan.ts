// Everything decided about an app before its unit is written, as data. Pure.

import type { AllowedDevice } from '@rkt/stage1-base/devices';
import type { BindIntoPod } from '@rkt/stage1-base/mounts';
import type { LoadedApp } from '@rkt/stage1-base/pod';
import type { SeccompFilter } from '@rkt/stage1-base/seccomp';
import type { Credentials } from '@rkt/stage1-base/user';

import type { InnerBind } from './app-root.ts';

/** An app as systemd is to run it. */
export interface AppPlan {
  readonly loaded: LoadedApp;
  /** Resolved program first. */
  readonly argv: readonly string[];
  readonly workingDirectory: string;
  readonly credentials: Credentials;
  /** Volumes; mounted by nspawn, before systemd starts. */
  readonly binds: readonly BindIntoPod[];
  /** Files and directories of the pod; mounted by systemd in the app's own mount namespace. */
  readonly innerBinds: readonly InnerBind[];
  readonly devices: readonly AllowedDevice[];
  /** Capability bounding set; absent: all there are. */
  readonly capabilities?: readonly string[];
  readonly filter?: SeccompFilter;
  readonly noNewPrivileges: boolean;
  /** Directives from resource isolators, name and value. */
  readonly resources: readonly (readonly [name: string, value: string])[];
}

/** What holds for all apps of the pod. */
export interface PodPlan {
  /** The one app has the terminal. */
  readonly interactive: boolean;
  /** Device of the pod's terminal; `/dev/console` by default. */
  readonly terminal?: string;
  /** A sandbox: apps come and go, and their end is not the pod's. */
  readonly mutable?: boolean;
  /** Hide and protect parts of /proc and /sys, and give apps only the devices they were promised. */
  readonly protectPaths: boolean;
  /** Limits of the process that became the pod, as directives: `LimitNOFILE`, `1024:4096`. */
  readonly limits: readonly (readonly [name: string, value: string])[];
}
