// Writes a file of the pod directory without following what may lie in its place. Runs in stage1, on the host.

import { closeSync, constants, fchmodSync, openSync, unlinkSync, writeFileSync } from 'node:fs';

import { hasCode } from '@rkt/diagnostics/rkt-error';

/**
 * Replaces `file` by a new one with exactly this text and mode, whatever the umask. A symlink in its place is
 * removed, never followed.
 */
export function writeNew(file: string, text: string, mode: number): void {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  let fd: number;
  try {
    fd = openSync(file, flags, mode);
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
    unlinkSync(file);
    fd = openSync(file, flags, mode);
  }
  try {
    fchmodSync(fd, mode);
    writeFileSync(fd, text);
  } finally {
    closeSync(fd);
  }
}
