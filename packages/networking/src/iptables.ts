// Removes chains by iptables exactly: with every rule that leads to them, in one step. Runs in the gc entry point, on
// the host.

import { createHash } from 'node:crypto';

import type { FilterTools } from './packet-filter.ts';

/** Seconds to wait for others who change the rules at the same time; only ip_tables has such a lock. */
const WAIT_SECONDS = '60';

/** Applies lines of iptables-save(8) form to the rules there are. @throws NetworkError `filter-failed` */
export async function applyRules(tools: FilterTools, text: string): Promise<void> {
  const wait = tools.name === 'legacy' ? ['-w', WAIT_SECONDS] : [];
  await tools.run('iptables-restore', ['--noflush', ...wait], text);
}

/** Removes those of the chains that are there. @throws NetworkError `filter-failed` */
export async function removeChains(
  tools: FilterTools,
  table: 'nat' | 'raw',
  chains: readonly string[],
): Promise<void> {
  const rules = await tools.run('iptables-save', ['-t', table]);
  const script = removalScript(rules, table, chains);
  if (script !== '') await applyRules(tools, script);
}

/** What removes `chains` from rules as iptables-save prints them; empty when there are none of them. */
export function removalScript(rules: string, table: string, chains: readonly string[]): string {
  const lines = rules.split('\n');
  const there = chains.filter((chain) => lines.some((line) => line.startsWith(`:${chain} `)));
  if (there.length === 0) return '';
  const jumps = lines.filter(
    (line) =>
      line.startsWith('-A ') &&
      there.some((chain) => line.endsWith(` -j ${chain}`) && !line.startsWith(`-A ${chain} `)),
  );
  return [
    `*${table}`,
    ...jumps.map((line) => line.replace(/^-A /, '-D ')),
    ...there.map((chain) => `-F ${chain}`),
    ...there.map((chain) => `-X ${chain}`),
    'COMMIT',
    '',
  ].join('\n');
}

/** The chain in which plugins masquerade a pod on a network (contract stage1 5.4). */
export function masqueradeChain(network: string, uuid: string): string {
  return `CNI-${createHash('sha512').update(`${network}${uuid}`).digest('hex').slice(0, 24)}`;
}
