// SELinux labels of pods, as sVirt has them (contract stage1 2.26): the policy says which types the processes and the
// files of containers have, and each pod gets two categories that no other pod has. Runs in stage0, on the host.
//
// A host without SELinux costs one look for a file.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';

import { hasCode } from '@rkt/diagnostics/rkt-error';
import { lockFile } from '@rkt/linux/file-lock';
import type { Kernel } from '@rkt/linux/kernel';
import { readMountInfo } from '@rkt/linux/mount-info';
import { type DataDir, selinuxLevelsLockFile } from '@rkt/pod-layout/data-dir';
import { parseSelinuxLabels, printSelinuxLabels, type SelinuxLabels } from '@rkt/pod-layout/files';
import { POD_FILE_MODE, type PodDir, selinuxLabelsFile } from '@rkt/pod-layout/pod-paths';

import { recordsOfPods } from '../pod/all-pods.ts';
import { PodError } from '../pod/errors.ts';
import { readIfThere } from '../pod/record.ts';
import { walkTree } from '../treestore/walk-tree.ts';

/** What is asked of the host. */
export interface SelinuxHost {
  readonly isEnabled: () => boolean;
  /** Whether the policy in force has all that is in a label. */
  readonly knows: (label: string) => boolean;
  /** The directory that is /etc/selinux. */
  readonly configuration: string;
}

const HOST: SelinuxHost = { isEnabled, knows, configuration: '/etc/selinux' };

// As libselinux decides: its file system is mounted and can be written, and a policy is loaded.
function isEnabled(): boolean {
  if (!existsSync('/sys/fs/selinux/enforce')) return false;
  if (!readMountInfo().some(({ fsType, options }) => fsType === 'selinuxfs' && options.includes('rw')))
    return false;
  return !readFileSync('/proc/self/attr/current', 'latin1').startsWith('kernel');
}

// security_check_context(3)
function knows(label: string): boolean {
  try {
    writeFileSync('/sys/fs/selinux/context', `${label}\0`);
    return true;
  } catch (error) {
    if (hasCode(error, 'EINVAL')) return false;
    throw error;
  }
}

/** The labels that were chosen for the pod; undefined when it has none. */
export function podLabels(pod: PodDir): SelinuxLabels | undefined {
  const text = readIfThere(selinuxLabelsFile(pod));
  return text === undefined ? undefined : parseSelinuxLabels(text);
}

/** The label for mounts of the pod's files, if SELinux has a say here and now. */
export function mountLabel(pod: PodDir, host: SelinuxHost = HOST): string | undefined {
  return host.isEnabled() ? podLabels(pod)?.file : undefined;
}

/**
 * Labels files and directories, and with them all that is below and no mount yet. What cannot be labelled is not: the
 * policy then decides by the label it has. Answers why, for the first.
 */
export function labelFiles(kernel: Kernel, roots: readonly string[], label: string): string | undefined {
  const value = Buffer.from(`${label}\0`);
  let failure: string | undefined;
  for (const root of roots) {
    for (const file of [Buffer.from(root), ...below(root)]) {
      try {
        kernel.lsetXattr(file, LABEL_ATTRIBUTE, value);
      } catch (error) {
        failure ??= (error as Error).message;
      }
    }
  }
  return failure;
}

function* below(root: string): Generator<Buffer> {
  for (const { absolute } of walkTree(root)) yield absolute;
}

// selinux(8), setfilecon(3)
const LABEL_ATTRIBUTE = 'security.selinux';

/**
 * The labels of the pod: those it has, or new ones, recorded in it under a lock. Undefined without SELinux, or without
 * labels for containers in the policy; labels that are only in its files, as on Debian, are told with `warn`. `random`
 * gives numbers from 0 to below 1.
 * @throws PodError `selinux` for a policy that cannot be read
 */
export function chooseLabels(
  data: DataDir,
  pod: PodDir,
  warn: (line: string) => void,
  host: SelinuxHost = HOST,
  random: () => number = Math.random,
): SelinuxLabels | undefined {
  if (!host.isEnabled()) return undefined;
  const chosen = podLabels(pod);
  if (chosen !== undefined) return chosen;
  const policy = policyLabels(host.configuration);
  if (policy === undefined) return undefined;
  const unknown = [policy.process, policy.file].find((label) => !host.knows(label));
  if (unknown !== undefined) {
    warn(
      `warning: SELinux does not confine the pod: its policy names ${unknown} for containers and has no such label`,
    );
    return undefined;
  }
  using _lock = lockFile(selinuxLevelsLockFile(data), {
    exclusive: true,
    wait: true,
    create: true,
    mode: 0o660,
  });
  const taken = new Set(
    recordsOfPods(data, selinuxLabelsFile, (text) => levelOf(parseSelinuxLabels(text).process)),
  );
  const level = freeLevel(taken, random);
  const labels = { process: withLevel(policy.process, level), file: withLevel(policy.file, level) };
  writeFileSync(selinuxLabelsFile(pod), printSelinuxLabels(labels), { mode: POD_FILE_MODE });
  return labels;
}

function policyLabels(configuration: string): SelinuxLabels | undefined {
  const config = readOrNothing(`${configuration}/config`);
  const policy = config === undefined ? undefined : policyName(config);
  if (policy === undefined) return undefined;
  const file = `${configuration}/${policy}/contexts/lxc_contexts`;
  const text = readOrNothing(file);
  return text === undefined ? undefined : parseLxcContexts(text, file);
}

function readOrNothing(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR')) return undefined;
    throw error;
  }
}

/** SELINUXTYPE of /etc/selinux/config (selinux_config(5)): the directory of the active policy. */
export function policyName(config: string): string | undefined {
  const name = lastValue(config, 'SELINUXTYPE');
  return name !== undefined && /^[\w-][\w.-]*$/.test(name) ? name : undefined;
}

/**
 * The labels of `process` and `file` in lxc_contexts; undefined when it lacks either.
 * @throws PodError `selinux` for one that is no label
 */
export function parseLxcContexts(text: string, where: string): SelinuxLabels | undefined {
  const [process, file] = [lastValue(text, 'process'), lastValue(text, 'file')];
  if (process === undefined || file === undefined) return undefined;
  try {
    return parseSelinuxLabels(printSelinuxLabels({ process, file }));
  } catch (cause) {
    throw new PodError('selinux', `${where} is not valid`, { cause });
  }
}

// Lines `name = "value"`; comments begin with # or ;.
function lastValue(text: string, name: string): string | undefined {
  let value: string | undefined;
  for (const line of text.split('\n')) {
    const match = /^\s*(\w+)\s*=\s*(.*?)\s*$/.exec(line);
    if (match?.[1] === name) value = (match[2] ?? '').replace(/^"(.*)"$/, '$1').trim();
  }
  return value === '' ? undefined : value;
}

/** The level of a label, `s0:c1,c2`; undefined for one without, of a policy that has no levels. */
export function levelOf(label: string): string | undefined {
  const [, , , ...level] = label.split(':');
  return level.length === 0 ? undefined : level.join(':');
}

/** The label with another level, if it has one. */
export function withLevel(label: string, level: string): string {
  if (levelOf(label) === undefined) return label;
  return [...label.split(':').slice(0, 3), level].join(':');
}

/** Categories of every policy that has any (c0 to c1023). */
const CATEGORIES = 1024;
const PAIRS = (CATEGORIES * (CATEGORIES - 1)) / 2;

/** A level of two different categories that is not among `taken`. @throws PodError `selinux` when all are */
export function freeLevel(taken: ReadonlySet<string | undefined>, random: () => number): string {
  const start = Math.floor(random() * PAIRS);
  for (let tried = 0; tried < PAIRS; tried += 1) {
    const level = levelAt((start + tried) % PAIRS);
    if (!taken.has(level)) return level;
  }
  throw new PodError('selinux', 'all SELinux categories are in use', { hint: 'remove pods with rkt gc' });
}

// Pairs in order of the higher category: 0,1  0,2  1,2  0,3 ...
function levelAt(index: number): string {
  const high = Math.floor((1 + Math.sqrt(1 + 8 * index)) / 2);
  return `s0:c${index - (high * (high - 1)) / 2},c${high}`;
}
