// Which directory holds images and pods (contract stage0 1.7). Runs in stage0.

import { realpathSync } from 'node:fs';

import { dataDir, DEFAULT_DATA_DIR, type DataDir } from '@rkt/pod-layout/data-dir';
import { wrap } from '@rkt/diagnostics/rkt-error';

import type { GlobalFlags } from '../cli/requests.ts';
import type { Config } from './config.ts';

/**
 * --dir, else the configured directory, else the default; symlinks resolved if it exists.
 * @param config When the caller has it already; it is read only if --dir does not decide.
 * @throws an error with the context `cannot get configuration`.
 */
export async function resolveDataDir(flags: GlobalFlags, config?: Config): Promise<DataDir> {
  const chosen = flags.dir ?? (config ?? (await readConfig(flags))).paths.data;
  return dataDir(resolved(chosen === '' ? DEFAULT_DATA_DIR : chosen));
}

async function readConfig(flags: GlobalFlags): Promise<Config> {
  const { loadConfig } = await import('./load.ts');
  try {
    return loadConfig(flags);
  } catch (error) {
    throw wrap('cannot get configuration', error);
  }
}

function resolved(directory: string): string {
  try {
    return realpathSync(directory);
  } catch {
    // It does not exist yet, or nobody may look: whoever needs it will say so.
    return directory;
  }
}
