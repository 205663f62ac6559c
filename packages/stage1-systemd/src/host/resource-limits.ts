// The resource limits of the process that becomes the pod, for its apps: systemd has defaults of its own otherwise.
// Runs in the run entry point, on the host.

import { readFileSync } from 'node:fs';

// proc_pid_limits(5) and systemd.exec(5), "Process Properties".
const DIRECTIVES: Readonly<Record<string, string>> = {
  'Max cpu time': 'LimitCPU',
  'Max file size': 'LimitFSIZE',
  'Max data size': 'LimitDATA',
  'Max stack size': 'LimitSTACK',
  'Max core file size': 'LimitCORE',
  'Max resident set': 'LimitRSS',
  'Max processes': 'LimitNPROC',
  'Max open files': 'LimitNOFILE',
  'Max locked memory': 'LimitMEMLOCK',
  'Max address space': 'LimitAS',
  'Max file locks': 'LimitLOCKS',
  'Max pending signals': 'LimitSIGPENDING',
  'Max msgqueue size': 'LimitMSGQUEUE',
  'Max nice priority': 'LimitNICE',
  'Max realtime priority': 'LimitRTPRIO',
  'Max realtime timeout': 'LimitRTTIME',
};

/** A limit as systemd writes it. */
export type LimitDirective = readonly [name: string, value: string];

/** The limits of this process; `nofileSoft` is the soft limit on open files it was started with. */
export function currentLimits(nofileSoft: bigint): LimitDirective[] {
  return parseLimits(readFileSync('/proc/self/limits', 'latin1'), nofileSoft);
}

/** The limits in the text of /proc/PID/limits. */
export function parseLimits(text: string, nofileSoft: bigint): LimitDirective[] {
  return text.split('\n').flatMap((line): LimitDirective[] => {
    const match = /^(Max [a-z ]+?) {2,}(\d+|unlimited) +(\d+|unlimited)/.exec(line);
    const directive = DIRECTIVES[match?.[1] ?? ''];
    if (match === null || directive === undefined) return [];
    const soft = directive === 'LimitNOFILE' ? String(nofileSoft) : word(match[2]);
    return [[directive, `${soft}:${word(match[3])}`]];
  });
}

/** The same for systemd-nspawn, whose own limits are what systemd can give at most. */
export function nspawnRlimit([name, value]: LimitDirective): string {
  return `--rlimit=${name.replace('Limit', '')}=${value}`;
}

function word(value = ''): string {
  return value === 'unlimited' ? 'infinity' : value;
}
