// Prepares a pod: everything between a locked, empty pod directory and one that can be launched
// (contract stage0 8.4, 8.9). Runs in stage0.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';

import type { Logger } from '@rkt/diagnostics/logger';
import type { DataDir } from '@rkt/pod-layout/data-dir';
import { hostFiles } from '@rkt/pod-layout/entrypoints';
import {
  appsInfoDir,
  overlayPreparedMark,
  POD_DIR_MODE,
  POD_FILE_MODE,
  podCreatedMark,
  type PodDir,
  podManifestFile,
  podMutationLock,
  stage1Dir,
  stage1ManifestFile,
  stage1Rootfs,
  stage1TreeIdFile,
} from '@rkt/pod-layout/pod-paths';
import type { ImageKey } from '@rkt/spec/image-id';
import { parsePodManifest, serializePodManifest } from '@rkt/spec/pod-manifest';

import type { AppRequest, PodDescription, PrepareFlags } from '../cli/requests.ts';
import { during, duringAsync } from '../pod/context.ts';
import type { ImageStore } from '../store/store.ts';
import type { SecondThread } from '../treestore/second-thread.ts';
import type { TreeStore } from '../treestore/tree-store.ts';
import { type AppImageTarget, checkPlatform, prepareAppImage, shiftOf } from './app-image.ts';
import { checkStreams } from './checks.ts';
import { linkImages } from './image-links.ts';
import { checkGivenManifest, generateManifest } from './pod-manifest.ts';
import { allocateUidRange } from './uid-range.ts';

/** A pod as it was asked for, its images already in the store. */
export interface PodRequest {
  readonly flags: PrepareFlags & PodDescription;
  readonly apps: readonly { readonly request: AppRequest; readonly key: ImageKey }[];
  readonly stage1: ImageKey;
  readonly overlay: boolean;
  readonly env: Readonly<Record<string, string>>;
}

/** Where images come from, and who speaks. */
export interface PrepareContext {
  readonly data: DataDir;
  readonly store: ImageStore;
  readonly treeStore: TreeStore;
  /** Takes part in copies, for pods without overlay. */
  readonly second: SecondThread | undefined;
  /** Speaks as `stage0`. */
  readonly logger: Logger;
}

/** Images of the pod's apps, by app name. */
type PodApps = readonly { readonly name: string; readonly key: ImageKey }[];

/** How files get into a pod without overlay. */
type PodFiles = Pick<AppImageTarget, 'privateUsers' | 'second'>;

/** Fills the pod directory. The pod is complete once its manifest is there. */
export async function preparePod(pod: PodDir, request: PodRequest, context: PrepareContext): Promise<void> {
  const privateUsers = request.flags.privateUsers ? allocateUidRange(context.data, pod) : undefined;
  mkdirSync(appsInfoDir(pod), { mode: POD_DIR_MODE });
  const files = { privateUsers, second: context.second };
  await duringAsync('error preparing stage1', () => prepareStage1(pod, request, files, context));
  const { text, apps } = podManifest(request, context);
  for (const { name, key } of apps) {
    await duringAsync(`error preparing image ${key}`, () =>
      prepareApp(pod, name, key, request, files, context),
    );
  }
  if (!request.overlay) linkImages(stage1Rootfs(pod), apps);
  context.logger.debug('Writing pod manifest');
  writeMarks(pod, request, text);
}

async function prepareStage1(
  pod: PodDir,
  { stage1, overlay }: PodRequest,
  files: PodFiles,
  { store, treeStore, logger }: PrepareContext,
): Promise<void> {
  logger.debug('Preparing stage1');
  const tree = await treeStore.render(stage1);
  mkdirSync(stage1Dir(pod), { mode: POD_DIR_MODE });
  logger.debug('Writing image manifest');
  writeFileSync(stage1ManifestFile(pod), store.readManifestText(stage1), { mode: POD_FILE_MODE });
  if (!overlay) {
    // What the host alone runs it can run from the tree, as it does with `enter`; the pod sees links that lead nowhere.
    const linked = new Set(hostFiles(store.readManifest(stage1).annotations));
    const how = { ...shiftOf(files.privateUsers), linked };
    await treeStore.copyRootfs(tree.id, stage1Rootfs(pod), how, files.second);
  }
  writeFileSync(stage1TreeIdFile(pod), tree.id, { mode: POD_FILE_MODE });
}

async function prepareApp(
  pod: PodDir,
  name: string,
  key: ImageKey,
  { overlay }: PodRequest,
  files: PodFiles,
  { store, treeStore, logger }: PrepareContext,
): Promise<void> {
  logger.debug(`Loading image ${key}`);
  checkPlatform(store.readManifest(key));
  logger.debug('Writing image manifest');
  await prepareAppImage({ pod, treeStore, overlay, ...files }, name, key, store.readManifestText(key));
}

function podManifest(request: PodRequest, { store }: PrepareContext): { text: string; apps: PodApps } {
  const file = request.flags.podManifest;
  const stage1 = store.readManifest(request.stage1);
  if (file !== undefined) {
    const text = during('error reading pod manifest', () => readFileSync(file, 'utf8'));
    const manifest = during('error unmarshaling pod manifest', () => parsePodManifest(text));
    checkStreams(manifest, stage1);
    return { text, apps: checkGivenManifest(manifest, store) };
  }
  const manifest = generateManifest(request, store);
  checkStreams(manifest, stage1);
  return {
    text: serializePodManifest(manifest),
    apps: manifest.apps.map(({ name, image }) => ({ name, key: image.id })),
  };
}

// The manifest is last: a directory without it was never a pod.
function writeMarks(pod: PodDir, { overlay }: PodRequest, manifest: string): void {
  writeFileSync(podMutationLock(pod), '', { mode: 0o600 });
  if (overlay) writeFileSync(overlayPreparedMark(pod), '', { mode: POD_FILE_MODE });
  writeFileSync(podManifestFile(pod), manifest, { mode: POD_FILE_MODE });
  writeFileSync(podCreatedMark(pod), '', { mode: POD_FILE_MODE });
}
