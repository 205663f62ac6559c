// The DNS and hosts flags: what they ask stage1 for, and the files stage0 writes itself
// (contract stage0 8.12, stage1 2.16). Runs in stage0.

import { readFileSync, writeFileSync } from 'node:fs';

import type { HostsMode, ResolvMode } from '@rkt/pod-layout/entrypoints';
import type { Stage1Root } from '@rkt/pod-layout/pod-paths';
import { printResolvConf } from '@rkt/pod-layout/resolv-conf';
import { HOSTS, HOSTS_FALLBACK, onHost, RESOLV_CONF } from '@rkt/pod-layout/stage1-paths';
import { isIpAddress } from '@rkt/spec/ip-address';

import type { LaunchFlags } from '../cli/requests.ts';
import { PodError } from '../pod/errors.ts';
import { isMissing } from '../pod/pod.ts';

/** What the flags amount to. */
export interface NameResolution {
  readonly resolvMode: ResolvMode;
  readonly hostsMode: HostsMode;
  /** Content of resolv.conf when stage0 writes it. */
  readonly resolvConf?: string;
  /** Names by address, in the order given, when stage0 writes hosts. */
  readonly hosts?: ReadonlyMap<string, readonly string[]>;
}

// `cni` says in a word what no flag means: what the pod's networks answer.
const isMode = (server: string): server is 'host' | 'none' | 'cni' =>
  server === 'host' || server === 'none' || server === 'cni';

/** @throws PodError `bad-flag` for flags that exclude each other and for what is no address. */
export function nameResolution(flags: LaunchFlags): NameResolution {
  return { ...resolv(flags), ...hosts(flags.hostsEntry) };
}

function resolv({ dns, dnsSearch, dnsOpt, dnsDomain }: LaunchFlags): {
  resolvMode: ResolvMode;
  resolvConf?: string;
} {
  const servers = dns.flatMap((value) => value.split(','));
  const mode = servers.find(isMode);
  const details = dnsSearch.length > 0 || dnsOpt.length > 0 || dnsDomain !== '';
  if (mode !== undefined) {
    if (servers.length > 1) throw bad(`no other --dns options allowed when --dns=${mode} is passed`);
    if (details) throw bad(`Cannot call --dns-opt, --dns-search, or --dns-domain with --dns=${mode}`);
    return { resolvMode: mode === 'cni' ? 'default' : mode };
  }
  for (const server of servers) if (!isIpAddress(server)) throw bad(`Invalid IP passed to --dns: ${server}`);
  if (servers.length === 0 && !details) return { resolvMode: 'default' };
  const data = { nameservers: servers, search: dnsSearch, options: dnsOpt, domain: dnsDomain };
  return { resolvMode: 'stage0', resolvConf: printResolvConf('rkt run', data) };
}

function hosts(values: readonly string[]): { hostsMode: HostsMode; hosts?: Map<string, string[]> } {
  const entries = values.flatMap((value) => value.split(','));
  if (entries.length === 0) return { hostsMode: 'default' };
  if (entries.every((entry) => entry === 'host')) return { hostsMode: 'host' };
  if (entries.includes('host')) throw bad('cannot pass --hosts-entry=host with multiple hosts-entries');
  const names = new Map<string, string[]>();
  for (const entry of entries) {
    const [ip, name, ...rest] = entry.split('=');
    if (ip === undefined || name === undefined || name === '' || rest.length > 0) {
      throw bad(`Did not understand --hosts-entry ${entry}`);
    }
    if (!isIpAddress(ip)) throw bad(`Invalid IP passed to --hosts-entry: ${ip}`);
    names.set(ip, [...(names.get(ip) ?? []), name]);
  }
  return { hostsMode: 'stage0', hosts: names };
}

/** Writes the files that the modes promise stage1. */
export function writeNameResolution(root: Stage1Root, resolution: NameResolution): void {
  if (resolution.resolvConf !== undefined) {
    writeFileSync(onHost(root, RESOLV_CONF), resolution.resolvConf, { mode: 0o644 });
  }
  if (resolution.hosts === undefined) return;
  const lines = [...resolution.hosts].map(([ip, names]) => `${ip} ${names.join(' ')}\n`).join('');
  const text = `${fallbackHosts(root)}\n\n# Added by rkt run --hosts-entry\n${lines}`;
  writeFileSync(onHost(root, HOSTS), text, { mode: 0o644 });
}

function fallbackHosts(root: Stage1Root): string {
  try {
    return readFileSync(onHost(root, HOSTS_FALLBACK), 'utf8');
  } catch (error) {
    if (isMissing(error)) return '#created by rkt stage0\n127.0.0.1 localhost localhost.localdomain';
    throw error;
  }
}

function bad(message: string): PodError {
  return new PodError('bad-flag', message);
}
