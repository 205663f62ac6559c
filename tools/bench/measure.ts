// Times programs side by side. Runs in the bench process.
//
// Programs that are compared take turns, so that what else the machine does falls on both; the median decides.
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { once } from 'node:events';

/** One side of a comparison. */
export interface Contestant {
  readonly name: string;
  readonly command: readonly string[];
  /** Before each run, outside the measured time. */
  readonly before?: () => void;
}

export interface Timing {
  readonly medianMs: number;
  readonly minMs: number;
}

/** No NODE_OPTIONS, no NODE_EXTRA_CA_CERTS: with those, node reads files at each start that are not ours. */
export const CLEAN_ENVIRONMENT: NodeJS.ProcessEnv = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: process.env['HOME'] ?? '/root',
  LANG: 'C.UTF-8',
};

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** Runs a program to its end and returns the milliseconds. Throws when it fails. */
export function timeOnce(command: readonly string[]): number {
  const [program = '', ...args] = command;
  const started = performance.now();
  const { status, signal, stderr, error } = spawnSync(program, args, {
    env: CLEAN_ENVIRONMENT,
    stdio: ['ignore', 'ignore', 'pipe'],
    maxBuffer: 1 << 26,
  });
  const elapsed = performance.now() - started;
  if (error !== undefined) throw error;
  if (status !== 0) {
    const end = stderr.toString().trim().split('\n').slice(-3).join(' | ');
    throw new Error(`${command.join(' ')}: ${signal ?? `exit status ${status}`}: ${end}`);
  }
  return elapsed;
}

/** Runs all contestants `rounds` times in turns, after one round that does not count. */
export function compare(contestants: readonly Contestant[], rounds: number): Timing[] {
  const times = contestants.map((): number[] => []);
  for (let round = 0; round <= rounds; round += 1) {
    for (const [index, { command, before }] of contestants.entries()) {
      before?.();
      const elapsed = timeOnce(command);
      if (round > 0) times[index]?.push(elapsed);
    }
  }
  return times.map((values) => ({ medianMs: median(values), minMs: Math.min(...values) }));
}

/** Runs a program to its end and returns the most memory it ever had resident, in bytes. */
export async function peakMemory(command: readonly string[]): Promise<number> {
  const [program = '', ...args] = command;
  const child = spawn(program, args, { env: CLEAN_ENVIRONMENT, stdio: 'ignore' });
  let peak = 0;
  // The kernel keeps the high-water mark, so only what is allocated in the last few milliseconds can be missed.
  const sample = (): void => {
    try {
      const status = fs.readFileSync(`/proc/${child.pid}/status`, 'utf8');
      peak = Math.max(peak, Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024);
    } catch {
      // It has just ended.
    }
  };
  const timer = setInterval(sample, 5);
  const [code] = (await once(child, 'close')) as [number | null];
  clearInterval(timer);
  if (code !== 0) throw new Error(`${command.join(' ')}: exit status ${code ?? 'none'}`);
  return peak;
}
