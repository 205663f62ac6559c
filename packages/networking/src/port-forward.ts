// Ports of the host that lead to a pod (contract stage1 5.5). Runs in the run and gc entry points, on the host.
//
// With nf_tables each pod has a table of its own: made in one step, removed in one step, and nothing of anybody else's is
// ever touched. With ip_tables it is two chains and three jumps in table nat, as rkt 1.30 had them.

import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';

import { hasCode } from '@rkt/diagnostics/rkt-error';
import { lockDirectory } from '@rkt/linux/file-lock';
import { FORWARD_STATE_DIR, portForwardFile } from '@rkt/pod-layout/net-paths';
import type { PodDir } from '@rkt/pod-layout/pod-paths';

import { chainNames, type ForwardedPort } from './forwarded-port.ts';
import { applyRules, removeChains } from './iptables.ts';
import { legacyRules } from './legacy-rules.ts';
import { nftRemoval, nftRules } from './nft-rules.ts';
import { type FilterName, filterTools, type FilterTools } from './packet-filter.ts';
import type { PodAddress } from './result.ts';
import { deviceTowards, dropRouteLocalnet, useRouteLocalnet } from './route-localnet.ts';

/** What is to be undone. */
interface ForwardRecord {
  readonly filter: FilterName;
  /** Device whose route_localnet is used; absent when the host has no route to the pod. */
  readonly device?: string;
}

const MODE = 0o644;

/** Makes the ports of the host lead to the pod at `addresses`. @throws NetworkError `filter-failed` */
export async function forwardPorts(
  pod: PodDir,
  uuid: string,
  ports: readonly ForwardedPort[],
  addresses: readonly PodAddress[],
  tools: FilterTools,
): Promise<void> {
  const ipv4 = addresses.find(({ family }) => family === 4);
  const device = ipv4 === undefined ? undefined : deviceTowards(ipv4.ip);
  const record: ForwardRecord = { filter: tools.name, ...(device === undefined ? {} : { device }) };
  writeFileSync(`${portForwardFile(pod)}.new`, JSON.stringify(record), { mode: MODE });
  renameSync(`${portForwardFile(pod)}.new`, portForwardFile(pod));
  mkdirSync(FORWARD_STATE_DIR, { recursive: true, mode: 0o755 });
  using _lock = lockDirectory(FORWARD_STATE_DIR, { exclusive: true, wait: true });
  if (device !== undefined) useRouteLocalnet(device, uuid);
  if (tools.name === 'nft') await tools.run('nft', ['-f', '-'], nftRules(uuid, ports, addresses));
  else await applyRules(tools, legacyRules(uuid, ports, addresses));
}

/** Undoes {@link forwardPorts}, wherever it stopped; nothing when it was never called. */
export async function unforwardPorts(
  pod: PodDir,
  uuid: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<void> {
  const record = readRecord(pod);
  if (record === undefined) return;
  if (existsSync(FORWARD_STATE_DIR)) {
    using _lock = lockDirectory(FORWARD_STATE_DIR, { exclusive: true, wait: true });
    const tools = filterTools(record.filter, pod, env);
    if (record.filter === 'nft') await tools.run('nft', ['-f', '-'], nftRemoval(uuid));
    else await removeLegacyRules(tools, uuid);
    if (record.device !== undefined) dropRouteLocalnet(record.device, uuid);
  }
  rmSync(portForwardFile(pod), { force: true });
}

async function removeLegacyRules(tools: FilterTools, uuid: string): Promise<void> {
  const { dnat, snat, guard } = chainNames(uuid);
  await removeChains(tools, 'nat', [dnat, snat]);
  await removeChains(tools, 'raw', [guard]);
}

function readRecord(pod: PodDir): ForwardRecord | undefined {
  try {
    return JSON.parse(readFileSync(portForwardFile(pod), 'utf8')) as ForwardRecord;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}
