// Pods as the API shows them (contract stage1 7.4). What cannot change is read once; a pod that has ended is not locked
// again to find that out. Reads only. Runs in stage0.

import { readFileSync, statSync } from 'node:fs';

import type { Logger } from '@rkt/diagnostics/logger';
import { type CgroupMembership, readCgroups } from '@rkt/linux/cgroup';
import type { DataDir } from '@rkt/pod-layout/data-dir';
import {
  isAfterRun,
  LISTED_DIRECTORIES,
  type PodDirectoryName,
  type PodPhase,
} from '@rkt/pod-layout/lifecycle';
import { type PodDir, podManifestFile, podPath, subcgroupFile } from '@rkt/pod-layout/pod-paths';
import { APPC_VERSION } from '@rkt/spec/appc-version';

import { resolvePod, walkPods } from '../pod/find.ts';
import { isMissing, lookAt, type PodSnapshot } from '../pod/pod.ts';
import {
  createdAt,
  exitStatus,
  initPid,
  markedAt,
  readIfThere,
  readNetworks,
  shownPid,
  startedAt,
  statusRoot,
} from '../pod/record.ts';
import { type AppSummary, readAppImage, summarizeManifest } from '../pod/summary.ts';
import { BoundedMap } from './bounded-map.ts';
import { keyValues } from './key-values.ts';
import {
  APP_STATE,
  type App,
  type Image,
  IMAGE_TYPE,
  type KeyValue,
  type Pod,
  POD_STATE,
} from './v1alpha.ts';

const STATES: Readonly<Record<PodPhase, number>> = {
  embryo: POD_STATE.POD_STATE_EMBRYO,
  preparing: POD_STATE.POD_STATE_PREPARING,
  'aborted prepare': POD_STATE.POD_STATE_ABORTED_PREPARE,
  prepared: POD_STATE.POD_STATE_PREPARED,
  running: POD_STATE.POD_STATE_RUNNING,
  exited: POD_STATE.POD_STATE_EXITED,
  'exited deleting': POD_STATE.POD_STATE_UNDEFINED,
  'exited garbage': POD_STATE.POD_STATE_GARBAGE,
  deleting: POD_STATE.POD_STATE_DELETING,
  garbage: POD_STATE.POD_STATE_GARBAGE,
};

/** As many as are worth remembering: some hundred bytes each. */
const REMEMBERED_PODS = 8192;

/** Nothing in the directory of such a pod changes before it is moved. */
const SETTLED: readonly PodPhase[] = ['prepared', 'exited'];

const NO_BYTES = Buffer.alloc(0);

/** What the manifests of a pod say. */
interface StaticPart {
  /** Tells whether the manifest is still the one that was read. */
  readonly stamp: string;
  readonly annotations: readonly KeyValue[];
  readonly apps: readonly Pick<App, 'name' | 'image' | 'annotations'>[];
}

/** The pods of one data directory. */
export class Pods {
  readonly #data: DataDir;
  readonly #logger: Logger;
  readonly #staticParts = new BoundedMap<string, StaticPart>(REMEMBERED_PODS);
  readonly #settled = new BoundedMap<string, { readonly stamp: string; readonly pod: Pod }>(REMEMBERED_PODS);
  // Phases that stay until the directory moves, by its inode.
  readonly #ended = new BoundedMap<string, { readonly inode: number; readonly phase: PodPhase }>(
    REMEMBERED_PODS,
  );

  constructor(data: DataDir, logger: Logger) {
    this.#data = data;
    // What is wrong with a directory is no news each time a client asks.
    this.#logger = {
      ...logger,
      info: logger.debug,
      error: (context, error) => logger.debug(`${context}: ${(error as Error).message}`),
    };
  }

  /** All pods that are not yet being deleted, by UUID; broken ones with what can be told. */
  *list(): Generator<Pod> {
    for (const pod of walkPods(this.#data, LISTED_DIRECTORIES, this.#logger, this.#look)) {
      const shown = this.#show(pod);
      if (shown !== undefined) yield shown;
    }
  }

  /** Reads what is worth remembering, so that the first client need not wait for it. */
  warm(): void {
    try {
      for (const _pod of this.list());
    } catch (error) {
      this.#logger.debug(`cannot list pods: ${(error as Error).message}`);
    }
  }

  /** The pod whose UUID starts like `id`, with its manifest. @throws PodError */
  inspect(id: string): Pod {
    const pod = resolvePod(this.#data, id);
    const shown = this.#show(pod) ?? this.#show(resolvePod(this.#data, id)) ?? bare(pod);
    return { ...shown, manifest: this.manifest(shown.id) };
  }

  /** The exact bytes of the pod's manifest; none when it cannot be read. */
  manifest(uuid: string): Buffer {
    for (const directory of LISTED_DIRECTORIES.toReversed()) {
      try {
        return readFileSync(podManifestFile(podPath(this.#data, directory, uuid)));
      } catch {
        // It is in another directory, or nowhere.
      }
    }
    return NO_BYTES;
  }

  // As lookAt, without touching the lock of a pod that is known to have ended.
  readonly #look = (data: DataDir, uuid: string, directory: PodDirectoryName): PodSnapshot | undefined => {
    if (directory !== 'run' && directory !== 'prepare') return lookAt(data, uuid, directory);
    const dir = podPath(data, directory, uuid);
    const inode = statSync(dir, { throwIfNoEntry: false })?.ino;
    if (inode === undefined) return undefined;
    const key = `${directory}/${uuid}`;
    const ended = this.#ended.get(key);
    if (ended?.inode === inode) return { data, uuid, directory, dir, phase: ended.phase };
    const pod = lookAt(data, uuid, directory);
    if (pod?.phase === 'exited' || pod?.phase === 'aborted prepare')
      this.#ended.set(key, { inode, phase: pod.phase });
    return pod;
  };

  // Undefined when the pod moved on while it was read.
  #show(pod: PodSnapshot): Pod | undefined {
    try {
      const stamp = `${stampOf(podManifestFile(pod.dir))} ${pod.phase}`;
      const settled = this.#settled.get(pod.uuid);
      if (settled?.stamp === stamp) return settled.pod;
      const shown = show(pod, this.#staticPart(pod));
      if (SETTLED.includes(pod.phase)) this.#settled.set(pod.uuid, { stamp, pod: shown });
      return shown;
    } catch (error) {
      if (isMissing(error) && statSync(pod.dir, { throwIfNoEntry: false }) === undefined) return undefined;
      this.#logger.debug(`pod ${pod.uuid}: ${(error as Error).message}`);
      return bare(pod);
    }
  }

  #staticPart({ uuid, dir }: PodSnapshot): StaticPart {
    const stamp = stampOf(podManifestFile(dir));
    const known = this.#staticParts.get(uuid);
    if (known?.stamp === stamp) return known;
    const { annotations, apps } = summarizeManifest(dir);
    const part = {
      stamp,
      annotations: keyValues(annotations),
      apps: apps.map((app) => ({
        name: app.name,
        image: appImage(dir, app),
        annotations: keyValues(app.annotations),
      })),
    };
    this.#staticParts.set(uuid, part);
    return part;
  }
}

function stampOf(file: string): string {
  const { ino, size, mtimeMs, ctimeMs } = statSync(file);
  return `${ino}:${size}:${mtimeMs}:${ctimeMs}`;
}

function appImage(dir: PodDir, { name: app, imageId }: AppSummary): Image | undefined {
  try {
    const { name, version = 'latest' } = readAppImage(dir, app);
    return {
      base_format: { type: IMAGE_TYPE.IMAGE_TYPE_APPC, version: APPC_VERSION },
      id: imageId,
      name,
      version,
      import_timestamp: 0n,
      manifest: NO_BYTES,
      size: 0n,
      annotations: [],
      labels: [],
    };
  } catch {
    return undefined;
  }
}

// All that can be told of a pod whose manifest cannot be read.
function bare({ uuid, phase }: PodSnapshot): Pod {
  return {
    id: uuid,
    pid: -1,
    state: STATES[phase],
    apps: [],
    networks: [],
    manifest: NO_BYTES,
    annotations: [],
    cgroup: '',
    created_at: 0n,
    started_at: 0n,
    gc_marked_at: 0n,
  };
}

function show(pod: PodSnapshot, { annotations, apps }: StaticPart): Pod {
  const { dir, phase } = pod;
  const known = { ...bare(pod), annotations, created_at: nanoseconds(createdAt(dir)) };
  if (phase === 'exited deleting') return { ...known, apps: apps.map((app) => appIn(app, undefined, phase)) };
  const root = isAfterRun(phase) || phase === 'running' ? orNothing(() => statusRoot(dir)) : undefined;
  const isOnNetworks = phase === 'running' || phase === 'exited';
  return {
    ...known,
    pid: orNothing(() => shownPid(dir)) ?? -1,
    apps: apps.map((app) => appIn(app, root, phase)),
    networks: isOnNetworks
      ? (orNothing(() => readNetworks(dir)) ?? []).map(({ netName, ip }) => ({
          name: netName,
          ipv4: ip,
          ipv6: '',
        }))
      : [],
    cgroup: phase === 'running' ? (orNothing(() => podCgroup(dir)) ?? '') : '',
    started_at: nanoseconds(startedAt(pod)),
    gc_marked_at: phase === 'exited garbage' || phase === 'garbage' ? nanoseconds(markedAt(dir)) : 0n,
  };
}

function appIn(
  app: StaticPart['apps'][number],
  root: ReturnType<typeof statusRoot> | undefined,
  phase: PodPhase,
): App {
  if (root === undefined) return { ...app, state: APP_STATE.APP_STATE_UNDEFINED, exit_code: -1 };
  const state = phase === 'running' ? APP_STATE.APP_STATE_RUNNING : APP_STATE.APP_STATE_EXITED;
  try {
    return { ...app, state, exit_code: exitStatus(root, app.name) ?? 0 };
  } catch {
    return { ...app, state, exit_code: -1 };
  }
}

// What stage1 recorded, else where the pod's init is.
function podCgroup(dir: PodDir): string {
  const recorded = readIfThere(subcgroupFile(dir))?.trim();
  if (recorded !== undefined && recorded !== '') return `/${recorded.replace(/^\/+/, '')}`;
  const pid = initPid(dir);
  if (pid === undefined) return '';
  const memberships = readCgroups(pid);
  const isUnified = ({ hierarchyId }: CgroupMembership): boolean => hierarchyId === 0;
  const membership = memberships.find(({ name }) => name === 'systemd') ?? memberships.find(isUnified);
  return (membership?.path ?? '').replace(/\/init\.scope$/, '');
}

function orNothing<Value>(read: () => Value): Value | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

// Microseconds are as exact as a time in milliseconds can be.
const nanoseconds = (ms: number | undefined): bigint =>
  ms === undefined ? 0n : BigInt(Math.round(ms * 1000)) * 1000n;
