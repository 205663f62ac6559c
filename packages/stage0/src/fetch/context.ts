// What everything that fetches needs. Runs in stage0.

import { createLogger, type Logger, writeStderr } from '@rkt/diagnostics/logger';
import type { DataDir } from '@rkt/pod-layout/data-dir';

import type { GlobalFlags, InsecureOptions } from '../cli/requests.ts';
import type { Config } from '../config/config.ts';
import { type ImageStore, openStore } from '../store/store.ts';
import { TreeStore } from '../treestore/tree-store.ts';
import { type Keystore, openKeystore } from '../trust/keystore.ts';
import { besideProgress } from './progress.ts';
import { archiveLimits, type ArchiveLimits, type LimitValues } from '../unpack/limits.ts';

/** Where images come from, where they go, and on whose terms. */
export interface FetchContext {
  readonly store: ImageStore;
  readonly treeStore: TreeStore;
  readonly config: Config;
  readonly insecure: InsecureOptions;
  /** Who may sign images; absent when signatures are not verified. */
  readonly keystore: Keystore | undefined;
  /** Speaks as `image`. */
  readonly logger: Logger;
  readonly debug: boolean;
  readonly trustKeysFromHttps: boolean;
  /** For the proxy variables. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** How much an image may cost. */
  readonly limits: ArchiveLimits;
  /** Ends what is being fetched. */
  readonly signal?: AbortSignal;
  /** Of several images at the same time: which one this is. What is shown of each says so, in this order. */
  readonly position?: number;
}

/** Opens the store and the tree store of `data`. The caller closes `store`. */
export function fetchContext({
  data,
  config,
  global,
  env = {},
  limits = {},
}: {
  readonly data: DataDir;
  readonly config: Config;
  readonly global: GlobalFlags;
  readonly env?: Readonly<Record<string, string>>;
  /** Given on the command line; they count before those of `config`. */
  readonly limits?: LimitValues;
}): FetchContext {
  const write = (text: string): void => besideProgress(() => writeStderr(text));
  const logger = createLogger({ prefix: 'image', debug: global.debug, write });
  const store = openStore(data, { logger });
  return {
    store,
    treeStore: new TreeStore(data, store, logger),
    config,
    insecure: global.insecure,
    keystore: global.insecure.image ? undefined : openKeystore(global),
    logger,
    debug: global.debug,
    trustKeysFromHttps: global.trustKeysFromHttps,
    env,
    cwd: process.cwd(),
    limits: archiveLimits(config.limits, limits),
  };
}
