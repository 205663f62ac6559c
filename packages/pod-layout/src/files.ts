// The tiny files of a pod: each with its printer and its parser (contract stage1 1.7). Pure.

import { quote } from '@rkt/diagnostics/quote';

import { PodLayoutError } from './errors.ts';

/** `pid`, `ppid`, `pgid`: decimal and a newline. */
export const printPid = (pid: number): string => `${pid}\n`;

/** @throws PodLayoutError `bad-file` when `text` is no process id. */
export function parsePid(text: string): number {
  return decimal(text, 'process id', 1);
}

/** `rkt/status/<app>`: the app's exit code, or the signal that killed it. */
export const printExitStatus = (status: number): string => `${status}\n`;

/** @throws PodLayoutError `bad-file` when `text` is no exit status. */
export function parseExitStatus(text: string): number {
  return decimal(text, 'exit status', 0);
}

/** A range of user ids given to a pod: `SHIFT:COUNT` in private-users-prepared and --private-users. */
export interface UidRange {
  readonly shift: number;
  readonly count: number;
}

/** Number of ids in the range of every pod with user namespaces. */
export const UID_RANGE_COUNT = 65536;

export const printUidRange = ({ shift, count }: UidRange): string => `${shift}:${count}`;

/** @throws PodLayoutError `bad-file` when `text` is not SHIFT:COUNT. */
export function parseUidRange(text: string): UidRange {
  const match = /^(\d{1,10}):(\d{1,10})$/.exec(text.trim());
  if (match === null)
    throw new PodLayoutError('bad-file', `${quote(text)} is not a range of user ids (SHIFT:COUNT)`);
  return { shift: Number(match[1]), count: Number(match[2]) };
}

/** What a pod's processes and files are labelled with on a host with SELinux: `selinux-labels`, one label a line. */
export interface SelinuxLabels {
  readonly process: string;
  readonly file: string;
}

export const printSelinuxLabels = ({ process, file }: SelinuxLabels): string => `${process}\n${file}\n`;

/** @throws PodLayoutError `bad-file` when `text` is not two labels: they become options of mounts. */
export function parseSelinuxLabels(text: string): SelinuxLabels {
  const [process = '', file = '', ...rest] = text.split('\n');
  if (![process, file].every((label) => LABEL.test(label)) || rest.join('') !== '') {
    throw new PodLayoutError('bad-file', `${quote(text)} is no pair of SELinux labels`);
  }
  return { process, file };
}

const LABEL = /^[\w.-]+:[\w.-]+:[\w.-]+(?::[\w.:,-]+)?$/;

/** One `NAME=value` per line, as rkt/env/<app> holds them; values are literal. */
export function printEnvironment(
  variables: readonly { readonly name: string; readonly value: string }[],
): string {
  return variables.map(({ name, value }) => `${name}=${value}\n`).join('');
}

function decimal(text: string, what: string, minimum: number): number {
  const trimmed = text.trim();
  const value = /^\d{1,15}$/.test(trimmed) ? Number(trimmed) : Number.NaN;
  if (!(value >= minimum)) throw new PodLayoutError('bad-file', `${quote(text)} is not a ${what}`);
  return value;
}
