// A pod and its apps as `list` and `status` show them in JSON (contract stage0 8.14, 8.20). Runs in stage0.

import { isMutable } from '@rkt/pod-layout/entrypoints';
import { isAfterRun, type PodPhase } from '@rkt/pod-layout/lifecycle';
import type { NetInfo } from '@rkt/pod-layout/net-info';
import { type Stage1Root, stage1Rootfs } from '@rkt/pod-layout/pod-paths';
import { appVolumePath } from '@rkt/pod-layout/stage1-paths';

import { type AppRecord, appState } from './app-state.ts';
import type { PodSnapshot } from './pod.ts';
import { createdAt, exitedAt, exitStatus, markedAt, readNetworks, startedAt, statusRoot } from './record.ts';
import { type PodSummary, summarizeManifest } from './summary.ts';

type AppState = 'unknown' | 'created' | 'running' | 'exited';

/** An app of a pod; times are nanoseconds since the epoch. */
export interface AppView {
  readonly name: string;
  readonly state: AppState;
  readonly created_at?: number;
  readonly started_at?: number;
  readonly finished_at?: number;
  readonly exit_code?: number;
  readonly image_id: string;
  readonly mounts?: readonly MountView[];
  readonly user_annotations?: Readonly<Record<string, string>>;
  readonly user_labels?: Readonly<Record<string, string>>;
}

interface MountView {
  readonly name: string;
  readonly container_path: string;
  readonly host_path: string;
  readonly read_only: boolean;
}

/** A pod; times are seconds since the epoch. */
export interface PodView {
  readonly name: string;
  readonly state: PodPhase;
  readonly networks?: readonly NetInfo[];
  readonly app_names?: readonly string[];
  readonly apps?: readonly AppView[];
  readonly created_at?: number;
  readonly started_at?: number;
  readonly user_annotations?: Readonly<Record<string, string>>;
  readonly user_labels?: Readonly<Record<string, string>>;
}

/** Whether the manifest of a pod in this phase is complete and will stay. */
export function hasManifest(phase: PodPhase): boolean {
  return !['embryo', 'preparing', 'aborted prepare', 'deleting'].includes(phase);
}

/** The pod as JSON shows it. */
export function viewPod(pod: PodSnapshot): PodView {
  const manifest = hasManifest(pod.phase) ? summarizeManifest(pod.dir) : undefined;
  const networks = readNetworks(pod.dir);
  const created = createdAt(pod.dir);
  const started = startedAt(pod);
  return {
    name: pod.uuid,
    state: pod.phase,
    ...(networks.length > 0 && { networks }),
    ...(manifest !== undefined &&
      manifest.apps.length > 0 && {
        app_names: manifest.apps.map(({ name }) => name),
        apps: viewApps(pod, manifest),
      }),
    ...(created !== undefined && { created_at: seconds(created) }),
    ...(started !== undefined && { started_at: seconds(started) }),
    ...nonEmpty('user_annotations', manifest?.userAnnotations),
    ...nonEmpty('user_labels', manifest?.userLabels),
  };
}

/** The apps of a pod; those of a sandbox have times of their own. */
export function viewApps(pod: PodSnapshot, manifest: PodSummary): AppView[] {
  const mutable = isMutable(manifest.annotations);
  const root = statusRoot(pod.dir);
  const created = createdAt(pod.dir);
  const started = startedAt(pod);
  return manifest.apps.map((app) => {
    const record = mutable
      ? appState(pod, app.name)
      : immutableRecord(pod, app.name, { root, created, started });
    const mounts = app.mounts.map((mount) => ({
      name: mount.volume,
      container_path: mount.path,
      host_path: mount.source ?? appVolumePath(stage1Rootfs(pod.dir), app.name, mount.path),
      read_only: mount.readOnly,
    }));
    return {
      name: app.name,
      state: record.state,
      ...(record.createdAt !== undefined && { created_at: nanoseconds(record.createdAt) }),
      ...(record.startedAt !== undefined && { started_at: nanoseconds(record.startedAt) }),
      ...(record.finishedAt !== undefined && { finished_at: nanoseconds(record.finishedAt) }),
      ...(record.exitCode !== undefined && { exit_code: record.exitCode }),
      image_id: app.imageId,
      ...(mounts.length > 0 && { mounts }),
      ...nonEmpty('user_annotations', app.userAnnotations),
      ...nonEmpty('user_labels', app.userLabels),
    };
  });
}

function immutableRecord(
  pod: PodSnapshot,
  app: string,
  { root, created, started }: { root: Stage1Root; created: number | undefined; started: number | undefined },
): AppRecord {
  const code = exitStatus(root, app);
  const state = code === undefined ? stateOf(pod.phase) : 'exited';
  const finished =
    exitedAt(root, app) ?? (pod.directory === 'exited-garbage' ? markedAt(pod.dir) : undefined);
  return {
    state,
    ...(created !== undefined && { createdAt: created }),
    ...(started !== undefined && { startedAt: started }),
    ...(state === 'exited' && finished !== undefined && { finishedAt: finished }),
    ...(code !== undefined && { exitCode: code }),
  };
}

function stateOf(phase: PodPhase): AppState {
  if (phase === 'prepared') return 'created';
  if (phase === 'running') return 'running';
  return isAfterRun(phase) ? 'exited' : 'unknown';
}

function nonEmpty<Key extends string>(
  key: Key,
  map: Readonly<Record<string, string>> | undefined,
): { [key in Key]?: Readonly<Record<string, string>> } {
  return map === undefined || Object.keys(map).length === 0
    ? {}
    : ({ [key]: map } as { [key in Key]: Readonly<Record<string, string>> });
}

const seconds = (ms: number): number => Math.floor(ms / 1000);
const nanoseconds = (ms: number): number => Math.round(ms * 1e6);
