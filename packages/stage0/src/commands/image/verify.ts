// `rkt image verify` (contract stage0 7.15). Runs in stage0.

import { writeStdout } from '@rkt/diagnostics/logger';
import { quote } from '@rkt/diagnostics/quote';
import { RktError } from '@rkt/diagnostics/rkt-error';

import type { Invocation, NoFlags } from '../../cli/requests.ts';
import { duringAsync } from '../../pod/context.ts';
import { differenceText } from '../../treestore/compare.ts';
import type { Differences, TreeStore } from '../../treestore/tree-store.ts';
import { openImages, resolveImage } from './open-images.ts';

export async function run(invocation: Invocation<NoFlags>): Promise<number> {
  if (invocation.args.length === 0) throw new RktError('no-image', 'must provide at least one image ID');
  using images = await openImages(invocation);
  for (const argument of invocation.args) {
    const key = resolveImage(images.store, argument);
    await verify(images.treeStore, argument, key);
  }
  return 0;
}

async function verify(treeStore: TreeStore, argument: string, key: string): Promise<void> {
  const id = treeStore.idOf(key);
  const checked = treeStore.isRendered(id) ? await treeStore.check(id) : { state: 'not-rendered' as const };
  switch (checked.state) {
    case 'not-rendered':
      return writeStdout(`image ${quote(argument)} not rendered; no verification needed\n`);
    case 'good':
      return writeStdout(`successfully verified checksum for image: ${quote(argument)} (${quote(key)})\n`);
    case 'damaged':
      writeStdout(
        `tree cache verification failed for image ${argument}: ${checked.reason};  rebuilding...\n`,
      );
      await duringAsync('unable to rebuild tree cache', () => treeStore.rebuild(key, printDifferences));
  }
}

// A damaged disk may change everything; the first few say enough.
const MAX_DIFFERENCES = 20;

function printDifferences(differences: Differences): void {
  let count = 0;
  for (const difference of differences) {
    count += 1;
    if (count <= MAX_DIFFERENCES) writeStdout(`  ${differenceText(difference)}\n`);
  }
  if (count > MAX_DIFFERENCES) writeStdout(`  and ${count - MAX_DIFFERENCES} more\n`);
}
