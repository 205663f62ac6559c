// The kernel's packet filter and stage1's tools for it. Debian's iptables and nft come with the image, so a pod needs
// neither of the host (docs/decisions/0031-network-tools-in-the-image.md). Runs in the run and gc entry points, on the
// host.

import { readFileSync } from 'node:fs';

import { quote } from '@rkt/diagnostics/quote';
import { hasCode } from '@rkt/diagnostics/rkt-error';
import { DEFAULT_PATH } from '@rkt/pod-layout/environment';
import { FILTER_TOOLS_DIR } from '@rkt/pod-layout/net-paths';
import { type PodDir, stage1Rootfs } from '@rkt/pod-layout/pod-paths';
import { onHost } from '@rkt/pod-layout/stage1-paths';

import { NetworkError } from './errors.ts';
import { runProgram } from './program.ts';

/** nf_tables, or the older ip_tables. Rules of both count, whoever made them; a host should see all in one place. */
export type FilterName = 'nft' | 'legacy';

/** Tables of ip_tables that are in use in this network namespace, one a line; absent in kernels without it. */
const LEGACY_TABLES = '/proc/thread-self/net/ip_tables_names';

/** The filter whose rules the host has: nf_tables, unless somebody uses ip_tables. */
export function filterInUse(): FilterName {
  try {
    return readFileSync(LEGACY_TABLES, 'latin1').trim() === '' ? 'nft' : 'legacy';
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return 'nft';
    throw error;
  }
}

/** A filter's tools, as a pod's stage1 brings them. */
export interface FilterTools {
  readonly name: FilterName;
  /** For programs that call `iptables`: the tools come first on PATH. */
  readonly env: Readonly<Record<string, string>>;
  /** Runs a tool; returns what it prints. @throws NetworkError `filter-failed` with its message */
  run(tool: string, args: readonly string[], stdin?: string): Promise<string>;
}

/** The tools of `name` in the pod's stage1. `env` is the caller's environment. */
export function filterTools(
  name: FilterName,
  pod: PodDir,
  env: Readonly<Record<string, string | undefined>>,
): FilterTools {
  // Absolute: Go programs refuse to run what they find by a relative PATH.
  const directory = `${onHost(stage1Rootfs(pod), FILTER_TOOLS_DIR)}/${name}`;
  const inherited = Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined);
  const toolEnv = { ...Object.fromEntries(inherited), PATH: `${directory}:${env['PATH'] || DEFAULT_PATH}` };
  const run = async (tool: string, args: readonly string[], stdin = ''): Promise<string> => {
    const path = `${directory}/${tool}`;
    const end = await runProgram({ path, args, stdin, env: toolEnv, keepStderr: true }).catch(
      (cause: Error) => {
        throw new NetworkError('filter-failed', `cannot execute ${path}: ${cause.message}`);
      },
    );
    if (end.status === 0) return end.stdout;
    const said = end.stderr.trim().split('\n')[0] ?? '';
    throw new NetworkError(
      'filter-failed',
      `${tool} failed: ${said === '' ? quote(end.signal ?? '') : said}`,
    );
  };
  return { name, env: toolEnv, run };
}
