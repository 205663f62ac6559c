// The seed document's names: below opt/stage2 each distinct image of the pod has a relative symlink
// `sha512-<32 hex>` to the directory of an app made from it (docs/architecture.md). Runs in stage0.

import { readdirSync, readlinkSync, rmSync, symlinkSync } from 'node:fs';
import path from 'node:path';

import type { Stage1Root } from '@rkt/pod-layout/pod-paths';
import { imageLinkName, stage2Dir } from '@rkt/pod-layout/stage1-paths';
import type { RuntimeApp } from '@rkt/spec/pod-manifest';

/** Links each image to the first app made from it; a link that is there already stays. */
export function linkImages(
  root: Stage1Root,
  apps: readonly { readonly name: string; readonly key: string }[],
): void {
  for (const { name, key } of apps) {
    try {
      symlinkSync(name, path.join(stage2Dir(root), imageLinkName(key)));
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'EEXIST') throw error;
    }
  }
}

/** {@link linkImages} for the apps of a manifest. */
export function linkApps(root: Stage1Root, apps: readonly RuntimeApp[]): void {
  linkImages(
    root,
    apps.map(({ name, image }) => ({ name, key: image.id })),
  );
}

/** Takes away the links to an app. Another app of its image has none until {@link linkApps} is told of it. */
export function unlinkImages(root: Stage1Root, app: string): void {
  const directory = stage2Dir(root);
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const link = path.join(directory, entry.name);
    if (entry.isSymbolicLink() && readlinkSync(link) === app) rmSync(link);
  }
}
