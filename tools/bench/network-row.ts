// The row of the default network: what plugins add to the start of a pod. Runs in the bench process, on a host that is a
// network namespace of the row's own.
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { benchDir, removeData, rktWith, trueImage } from './fixtures.ts';
import { CLEAN_ENVIRONMENT, compare, timeOnce } from './measure.ts';

const NETNS = `rkt-bench-${process.pid}`;
/** State of plugins that must not mix with the machine's. */
const IPAM_DIR = '/var/lib/cni';

/** How many programs a command starts, itself included; undefined without strace. */
function startedPrograms(command: readonly string[]): number | undefined {
  const log = path.join(benchDir, 'execve.log');
  const { status } = spawnSync('strace', ['-f', '-qq', '-e', 'trace=execve', '-o', log, ...command], {
    env: CLEAN_ENVIRONMENT,
    stdio: 'ignore',
  });
  if (status !== 0) return undefined;
  const started = fs.readFileSync(log, 'utf8').split('\n');
  return started.filter((line) => /execve\(.*= 0$/.test(line)).length;
}

/** `run --net=default` against `run --net=none`. */
export function networkRow(): { value: number; detail: string } {
  const { file, key } = trueImage();
  const store = rktWith('run-net');
  fs.mkdirSync(IPAM_DIR, { recursive: true });
  // The bench has a mount namespace of its own.
  execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', IPAM_DIR]);
  execFileSync('ip', ['netns', 'add', NETNS]);
  execFileSync('ip', ['-n', NETNS, 'link', 'set', 'lo', 'up']);
  const command = ['nsenter', `--net=/run/netns/${NETNS}`, ...store.command];
  const run = (net: string): string[] => [...command, 'run', `--net=${net}`, key];
  const collect = (): number => timeOnce([...command, 'gc', '--grace-period=0s']);
  try {
    removeData(store.data);
    timeOnce([...command, 'run', '--net=none', file]);
    const [ours, theirs] = compare(
      [
        { name: 'default', command: run('default') },
        { name: 'none', command: run('none') },
      ],
      20,
    );
    if (ours === undefined || theirs === undefined) throw new Error('nothing measured');
    const programs = ['default', 'none'].map((net) => startedPrograms(run(net)));
    collect();
    const ms = (value: number): string => value.toFixed(1);
    return {
      value: ours.medianMs / theirs.medianMs,
      detail:
        `${ms(ours.medianMs)} ms, none ${ms(theirs.medianMs)} ms; least ${ms(ours.minMs)}, ${ms(theirs.minMs)}` +
        (programs.includes(undefined) ? '' : `; ${programs.join(' and ')} programs executed`),
    };
  } finally {
    collect();
    removeData(store.data);
    execFileSync('ip', ['netns', 'delete', NETNS]);
    execFileSync('umount', [IPAM_DIR]);
  }
}
