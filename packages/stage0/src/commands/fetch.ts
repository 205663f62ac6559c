// `rkt fetch` (contract stage0 4.4). Runs in stage0.

import { RktError } from '@rkt/diagnostics/rkt-error';
import { writeStdout } from '@rkt/diagnostics/logger';
import { overlaySupport } from '@rkt/linux/overlay';
import { shortHash } from '@rkt/spec/image-id';

import type { FetchFlags, Invocation, PullPolicy } from '../cli/requests.ts';
import { resolveDataDir } from '../config/data-dir.ts';
import { loadConfig } from '../config/load.ts';
import { fetchContext, fetchImage } from '../fetch/finder.ts';

export async function run({ global, flags, apps, env }: Invocation<FetchFlags>): Promise<number> {
  if (apps.length === 0) throw new RktError('no-image', 'must provide at least one image');
  const pullPolicy = policyOf(flags);
  const config = loadConfig(global);
  const data = await resolveDataDir(global, config);
  const context = fetchContext({ data, config, global, env, limits: flags.limits });
  using _store = context.store;
  const renders = process.geteuid?.() === 0 && overlaySupport(data).supported;
  for (const { image, signature } of apps) {
    const key = await fetchImage(context, image, {
      pullPolicy,
      dependencies: true,
      ...(signature !== undefined && { signature }),
    });
    if (renders) await context.treeStore.render(key);
    writeStdout(`${flags.full ? key : shortHash(key)}\n`);
  }
  return 0;
}

function policyOf({ storeOnly, noStore, pullPolicy }: FetchFlags): PullPolicy {
  if (storeOnly && noStore) {
    throw new RktError('bad-flags', 'both --store-only and --no-store specified');
  }
  if (storeOnly) return 'never';
  return noStore ? 'update' : pullPolicy;
}
