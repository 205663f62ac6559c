// Copies of the image database that are made before its tables change: cas/db-backups/N, 0 the newest
// (contract stage0 2.6, 7.1). Runs in stage0.

import { copyFileSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';

import { hasCode } from '@rkt/diagnostics/rkt-error';
import { withKernelErrors } from '@rkt/linux/errno';
import { type DataDir, dbBackupsDir, dbFile } from '@rkt/pod-layout/data-dir';

const MAX_BACKUPS = 5;
const MODE = 0o750;

/** Copies the database to backup 0; older backups move up by one, the oldest goes. @throws KernelError */
export function backUp(data: DataDir): void {
  const directory = dbBackupsDir(data);
  withKernelErrors(directory, () => {
    rmSync(path.join(directory, String(MAX_BACKUPS - 1)), { recursive: true, force: true });
    for (let number = MAX_BACKUPS - 1; number > 0; number -= 1) shift(directory, number - 1, number);
    const newest = path.join(directory, '0');
    mkdirSync(newest, { recursive: true, mode: MODE });
    copyFileSync(dbFile(data), path.join(newest, path.basename(dbFile(data))));
  });
}

function shift(directory: string, from: number, to: number): void {
  try {
    renameSync(path.join(directory, String(from)), path.join(directory, String(to)));
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
  }
}
