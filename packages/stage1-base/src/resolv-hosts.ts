// Names in a pod: its hostname, its hosts file, and where /etc/resolv.conf comes from (contract 2.15, 2.16). Runs in
// the run entry point, on the host.

import { readFileSync, realpathSync } from 'node:fs';

import { hasCode } from '@rkt/diagnostics/rkt-error';
import type { HostsMode, ResolvMode } from '@rkt/pod-layout/entrypoints';
import type { Stage1Root } from '@rkt/pod-layout/pod-paths';
import { HOSTNAME, HOSTS, HOSTS_FALLBACK, onHost, RESOLV_CONF } from '@rkt/pod-layout/stage1-paths';

import { writeNew } from './write-new.ts';

const NAME_FILE_MODE = 0o644;

/** How the names of a pod are made. */
export interface NameOptions {
  readonly hostname: string;
  readonly resolvMode: ResolvMode;
  readonly hostsMode: HostsMode;
  /** Addresses by which others know the pod. */
  readonly addresses?: readonly string[];
}

/** A file of the host that the pod shows read-only. */
export interface HostFile {
  readonly source: string;
  /** In stage1. */
  readonly target: string;
}

/** Writes the pod's name files into stage1; returns the host's files that are to be mounted there. */
export function writeNameFiles(
  root: Stage1Root,
  { hostname, resolvMode, hostsMode, addresses = [] }: NameOptions,
): HostFile[] {
  writeNew(onHost(root, HOSTNAME), hostname, NAME_FILE_MODE);
  const shown: HostFile[] = [];
  if (resolvMode === 'host') shown.push({ source: realFile('/etc/resolv.conf'), target: RESOLV_CONF });
  if (hostsMode === 'host') {
    shown.push({ source: realFile('/etc/hosts'), target: HOSTS });
  } else {
    const file = onHost(root, hostsMode === 'stage0' ? HOSTS : HOSTS_FALLBACK);
    const own = addresses.map((address) => `${address}\t${hostname}\n`).join('');
    writeNew(file, `${endLine(withHostname(readIfThere(file), hostname))}${own}`, NAME_FILE_MODE);
  }
  for (const { target } of shown) writeNew(onHost(root, target), '', NAME_FILE_MODE);
  return shown;
}

/** A hosts file in which the loopback address has `hostname` too: on the first line of 127.0.0.1, else on a new one. */
export function withHostname(hosts: string, hostname: string): string {
  const lines = hosts.split('\n');
  const index = lines.findIndex((line) => /^\s*127\.0\.0\.1(\s|$)/.test(line));
  if (index === -1) return `${endLine(hosts)}127.0.0.1\t${hostname}\n`;
  lines[index] = `${lines[index]} ${hostname}`;
  return lines.join('\n');
}

const endLine = (text: string): string => (text === '' || text.endsWith('\n') ? text : `${text}\n`);

// A bind mount of the link itself would show what the link says, not what it leads to.
function realFile(file: string): string {
  try {
    return realpathSync(file);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return file;
    throw error;
  }
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return '';
    throw error;
  }
}
