// Runs a script of a test in a node of its own, for what would change or end the process that tests. Test processes.

import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const NODE_OPTIONS = ['--conditions=@rkt/source', '--disable-warning=ExperimentalWarning'];

/** What the script printed on stdout, and how it ended. */
export interface FixtureResult {
  readonly stdout: string;
  readonly stderr: string;
  /** Exit status; null when a signal ended it. */
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Options of {@link runFixture} and {@link startFixture}. */
export interface FixtureOptions {
  readonly cwd?: string;
  /** Shell text to run instead, where `"$@"` stands for the script. */
  readonly shell?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs the script at `url` (relative to `base`, an import.meta.url) to its end, 30 seconds at most. */
export function runFixture(base: string, url: string, options: FixtureOptions = {}): FixtureResult {
  const [command, ...args] = commandLine(base, url, options);
  const result = spawnSync(command ?? '', args, {
    ...spawnOptions(options),
    encoding: 'utf8',
    timeout: 30_000,
  });
  const { stdout, stderr, status, signal } = result;
  return { stdout, stderr, status, signal };
}

/** Starts the script; the caller ends it. Stdout is a pipe. */
export function startFixture(base: string, url: string, options: FixtureOptions = {}): ChildProcess {
  const [command, ...args] = commandLine(base, url, options);
  return spawn(command ?? '', args, { ...spawnOptions(options), stdio: ['ignore', 'pipe', 'inherit'] });
}

function commandLine(base: string, url: string, { shell }: FixtureOptions): string[] {
  const script = [process.execPath, ...NODE_OPTIONS, fileURLToPath(new URL(url, base))];
  return shell === undefined ? script : ['/bin/sh', '-c', shell, 'sh', ...script];
}

function spawnOptions({ cwd, env }: FixtureOptions): { cwd?: string; env?: NodeJS.ProcessEnv } {
  return { ...(cwd === undefined ? {} : { cwd }), ...(env === undefined ? {} : { env }) };
}
