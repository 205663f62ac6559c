// Stops a process at a moment when everything in the scratch directory is locked. Runs in the test process.

import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { lockDirectory, lockFile } from '@rkt/linux/file-lock';
import { casTmpDir, type DataDir } from '@rkt/pod-layout/data-dir';

/** A child process. */
interface Stoppable {
  readonly pid?: number | undefined;
  kill(signal: NodeJS.Signals): boolean;
}

/**
 * Sends SIGSTOP to `child` once `begun` says so of the names in the scratch directory and each is locked: there is a
 * moment between making a file and locking it. Returns the names.
 */
export async function stopHolding(
  child: Stoppable,
  data: DataDir,
  begun: (names: readonly string[]) => boolean,
): Promise<string[]> {
  const directory = casTmpDir(data);
  for (;;) {
    while (!begun(readdirSync(directory))) await sleep(2);
    child.kill('SIGSTOP');
    while (!/^State:\tT/m.test(readFileSync(`/proc/${child.pid}/status`, 'utf8'))) await sleep(1);
    const names = readdirSync(directory);
    if (names.every((name) => isLocked(path.join(directory, name)))) return names;
    child.kill('SIGCONT');
    await sleep(2);
  }
}

function isLocked(file: string): boolean {
  const terms = { exclusive: true, wait: false };
  const lock = statSync(file).isDirectory() ? lockDirectory(file, terms) : lockFile(file, terms);
  lock?.release();
  return lock === undefined;
}
