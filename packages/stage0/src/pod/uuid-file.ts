// The file that names a pod to scripts, `--uuid-file-save` of run and app sandbox. Runs in stage0.

import { lstatSync, renameSync, rmSync, writeFileSync } from 'node:fs';

const MODE = 0o644;

/**
 * Writes a UUID, 36 bytes without a newline, mode 0644 (contract stage0 8.3). Scripts wait until the file is there, so
 * a new file appears with its content: nobody reads an empty one. What is there already, as a FIFO or a mount point,
 * is written to in place.
 *
 * @throws the error of the system call that failed
 */
export function saveUuid(file: string, uuid: string): void {
  if (lstatSync(file, { throwIfNoEntry: false }) !== undefined) {
    writeFileSync(file, uuid);
    return;
  }
  const beside = `${file}.${uuid}`;
  try {
    writeFileSync(beside, uuid, { mode: MODE, flag: 'wx' });
    renameSync(beside, file);
  } catch (error) {
    rmSync(beside, { force: true });
    throw error;
  }
}
