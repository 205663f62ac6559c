// Paths inside a stage1 root, and where they are seen from the host (contract stage1 0, 1.7, 2). Pure.

import path from 'node:path';

import type { AppName, Stage1Root } from './pod-paths.ts';

/** Directory of all apps inside stage1. */
export const STAGE2_DIR = '/opt/stage2';
/** Generated and shipped units inside stage1. */
export const UNIT_DIR = '/usr/lib/systemd/system';
export const STATUS_DIR = '/rkt/status';
export const ENV_DIR = '/rkt/env';
export const SUPERVISOR_STATUS = '/rkt/supervisor-status';
/** Target of {@link SUPERVISOR_STATUS} once the supervisor is ready. */
export const SUPERVISOR_READY = 'ready';
export const KEEP_ENV_FILE = '/rkt/env/keep_env';
export const MUX_DIR = '/rkt/iottymux';
export const VOLUME_LINKS_DIR = '/rkt/volumes';
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
