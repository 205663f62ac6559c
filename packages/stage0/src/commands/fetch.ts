// `rkt fetch` (contract stage0 4.4). Images download at the same time; what one brings into the store for another, as a
// dependency or by its name, is there as if they were fetched one after the other. Runs in stage0.

import { RktError } from '@rkt/diagnostics/rkt-error';
import { writeStdout } from '@rkt/diagnostics/logger';
import { overlaySupport } from '@rkt/linux/overlay';
import { type ImageKey, shortHash } from '@rkt/spec/image-id';

import type { AppRequest, FetchFlags, Invocation, PullPolicy } from '../cli/requests.ts';
import { resolveDataDir } from '../config/data-dir.ts';
import { loadConfig } from '../config/load.ts';
import { fetchContext, fetchDependenciesOf, fetchImage } from '../fetch/finder.ts';
import { besideProgress } from '../fetch/progress.ts';
import { together, type Turn } from '../fetch/together.ts';

export async function run({ global, flags, apps, env }: Invocation<FetchFlags>): Promise<number> {
  if (apps.length === 0) throw new RktError('no-image', 'must provide at least one image');
  const pullPolicy = policyOf(flags);
  const config = loadConfig(global);
  const data = await resolveDataDir(global, config);
  const context = fetchContext({ data, config, global, env, limits: flags.limits });
  using _store = context.store;
  const renders = process.geteuid?.() === 0 && overlaySupport(data).supported;
  const fetchOne = (app: AppRequest, { signal, earlier }: Turn): Promise<ImageKey> => {
    const { image, signature } = app;
    const place = apps.length > 1 ? { position: apps.indexOf(app) } : {};
    return fetchImage({ ...context, signal, ...place }, image, {
      pullPolicy,
      earlier,
      dependencies: false,
      ...(signature !== undefined && { signature }),
    });
  };
  await together(apps, fetchOne, async (key) => {
    await fetchDependenciesOf(context, key, pullPolicy);
    if (renders) await context.treeStore.render(key);
    besideProgress(() => writeStdout(`${flags.full ? key : shortHash(key)}\n`));
  });
  return 0;
}

function policyOf({ storeOnly, noStore, pullPolicy }: FetchFlags): PullPolicy {
  if (storeOnly && noStore) {
    throw new RktError('bad-flags', 'both --store-only and --no-store specified');
  }
  if (storeOnly) return 'never';
  return noStore ? 'update' : pullPolicy;
}
