// The seed document's names: below opt/stage2 each distinct image of the pod has a relative symlink
// `sha512-<32 hex>` to the directory of an app made from it (docs/architecture.md). Runs in stage0.

import { symlinkSync } from 'node:fs';
import path from 'node:path';

import type { Stage1Root } from '@rkt/pod-layout/pod-paths';
import { imageLinkName, stage2Dir } from '@rkt/pod-layout/stage1-paths';

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
