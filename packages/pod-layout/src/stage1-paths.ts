// Paths inside a stage1 root, and where they are seen from the host (contract stage1 0, 1.7, 2). Pure.

import path from 'node:path';

import type { AppName, Stage1Root } from './pod-paths.ts';

/** Directory of all apps inside stage1. */
export const STAGE2_DIR = '/opt/stage2';
/** Generated and shipped units inside stage1. */
export const UNIT_DIR = '/usr/lib/systemd/system';
/** What the pod and the host tell each other while the pod runs. */
export const RKT_DIR = '/rkt';
/** Exit status of a pod in a virtual machine, decimal and a newline; ours. */
export const POD_EXIT = '/rkt/exit';
/** Shell commands that give a virtual machine its addresses and routes; ours. */
export const GUEST_NETWORK = '/rkt/guest-network';
export const STATUS_DIR = '/rkt/status';
/** Files that become those of {@link STATUS_DIR} when the disk has no room for new ones; ours. */
export const RESERVED_DIR = '/rkt/reserved';
export const ENV_DIR = '/rkt/env';
export const SUPERVISOR_STATUS = '/rkt/supervisor-status';
/** Target of {@link SUPERVISOR_STATUS} once the supervisor is ready. */
export const SUPERVISOR_READY = 'ready';
export const MUX_DIR = '/rkt/iottymux';
export const RESOLV_CONF = '/etc/rkt-resolv.conf';
export const HOSTS = '/etc/rkt-hosts';
export const HOSTS_FALLBACK = '/etc/hosts-fallback';
export const HOSTNAME = '/etc/hostname';
export const MACHINE_ID = '/etc/machine-id';
export const JOURNAL_DIR = '/var/log/journal';
export const NET_CONF_DIR = '/etc/rkt/net.d';

/** Directory of one app inside stage1: its manifest and its rootfs. */
export const appDirIn = (app: AppName): string => `${STAGE2_DIR}/${app}`;
/** Root file system of one app inside stage1. */
export const appRootfsIn = (app: AppName): string => `${STAGE2_DIR}/${app}/rootfs`;
export const appManifestIn = (app: AppName): string => `${STAGE2_DIR}/${app}/manifest`;
export const statusFileIn = (app: AppName): string => `${STATUS_DIR}/${app}`;
export const reservedFileIn = (app: AppName): string => `${RESERVED_DIR}/${app}`;
/** Directory of what is between one app and those attached to it (contract stage1 8.2). */
export const muxDirIn = (app: AppName): string => `${MUX_DIR}/${app}`;
/** What the multiplexer of an app is started with. */
export const muxEnvFileIn = (app: AppName): string => `${muxDirIn(app)}/env`;
/** The list of endpoints, there while they can be connected to. */
export const muxEndpointsIn = (app: AppName): string => `${muxDirIn(app)}/endpoints`;
/** What the app has as a stream, or as its terminal. */
export const muxStreamIn = (app: AppName, stream: 'stdin' | 'stdout' | 'stderr' | 'pts'): string =>
  `${muxDirIn(app)}/stage2-${stream}`;
/** Where people connect. */
export const muxSocketIn = (app: AppName, endpoint: 'stdin' | 'stdout' | 'stderr' | 'tty'): string =>
  `${muxDirIn(app)}/sock-${endpoint}`;
export const envFileIn = (app: AppName): string => `${ENV_DIR}/${app}`;

/** A path inside stage1 as the host sees it. `inside` is absolute and comes from this file. */
export function onHost(root: Stage1Root, inside: string): string {
  return path.join(root, inside);
}

export const stage2Dir = (root: Stage1Root): string => onHost(root, STAGE2_DIR);
export const appDir = (root: Stage1Root, app: AppName): string => onHost(root, appDirIn(app));
export const appRootfs = (root: Stage1Root, app: AppName): string => onHost(root, appRootfsIn(app));
export const appManifest = (root: Stage1Root, app: AppName): string => onHost(root, appManifestIn(app));
export const statusDir = (root: Stage1Root): string => onHost(root, STATUS_DIR);
export const statusFile = (root: Stage1Root, app: AppName): string => onHost(root, statusFileIn(app));
/** Mutable pods only: empty, its mtime is when the app was added. */
export const createdMark = (root: Stage1Root, app: AppName): string =>
  onHost(root, `${STATUS_DIR}/${app}-created`);
/** Mutable pods only: empty, its mtime is when the app was started. */
export const startedMark = (root: Stage1Root, app: AppName): string =>
  onHost(root, `${STATUS_DIR}/${app}-started`);
export const envFile = (root: Stage1Root, app: AppName): string => onHost(root, envFileIn(app));
export const supervisorStatus = (root: Stage1Root): string => onHost(root, SUPERVISOR_STATUS);
export const unitFile = (root: Stage1Root, unit: string): string => onHost(root, `${UNIT_DIR}/${unit}`);

/** Directory of a volume's mount, or any other path, below an app's root as the host sees it. */
export const appVolumePath = (root: Stage1Root, app: AppName, inside: string): string =>
  path.join(appRootfs(root, app), inside);

/**
 * Name of the relative symlink beside the app directories, in the seed document's form:
 * `sha512-` and 32 hex digits (contract stage0 9.1; ours for every pod).
 */
export function imageLinkName(imageKey: string): string {
  return imageKey.slice(0, 'sha512-'.length + 32);
}
