// What every image command opens first, and how it finds the image it is asked for (contract stage0 7.3). Runs in
// stage0.

import { createLogger, type Logger } from '@rkt/diagnostics/logger';
import type { DataDir } from '@rkt/pod-layout/data-dir';
import { type ImageKey, isHash } from '@rkt/spec/image-id';
import { parseImageName } from '@rkt/spec/image-name';

import type { Invocation } from '../../cli/requests.ts';
import { resolveDataDir } from '../../config/data-dir.ts';
import { during } from '../../pod/context.ts';
import { type ImageStore, openStore } from '../../store/store.ts';
import { TreeStore } from '../../treestore/tree-store.ts';

/** Stores of one data directory; the store is closed at the end of the `using` block. */
export interface OpenImages extends Disposable {
  readonly data: DataDir;
  readonly store: ImageStore;
  readonly treeStore: TreeStore;
  /** Speaks as the command. */
  readonly logger: Logger;
}

/** Opens the stores the command works on. @throws KernelError */
export async function openImages({ command, global }: Invocation<unknown>): Promise<OpenImages> {
  const logger = createLogger({ prefix: command, debug: global.debug });
  const data = await resolveDataDir(global);
  const store = openStore(data, { logger });
  const treeStore = new TreeStore(data, store, logger);
  return { data, store, treeStore, logger, [Symbol.dispose]: () => store.close() };
}

/** The image that `argument` means: an ID or the start of one, else a name. @throws with context */
export function resolveImage(store: ImageStore, argument: string): ImageKey {
  if (isHash(argument)) return during('cannot resolve image ID', () => store.resolveKey(argument));
  return during('cannot find image', () => {
    // Unlike fetch and run: no os and arch of the host are added.
    const { name, labels } = parseImageName(argument);
    return store.findByName(name, labels);
  });
}
