// Holds locks on its working directory and on the file `key` there, says so, and waits to be ended. On SIGTERM it
// replaces the file while somebody waits for it. Runs as a process of file-lock.test.ts.

import { unlinkSync, writeFileSync } from 'node:fs';

import { lockDirectory, lockFile } from '../file-lock.ts';

const directory = lockDirectory('.', { exclusive: true, wait: true });
const key = lockFile('key', { exclusive: true, wait: true, create: true });
process.on('SIGTERM', () => {
  setTimeout(() => {
    // The old file keeps its inode while we hold it open, so the new one differs.
    unlinkSync('key');
    writeFileSync('key', '');
    key.release();
    directory.release();
    clearInterval(alive);
  }, 300);
});
const alive = setInterval(() => {}, 1000);
process.stdout.write(`locked ${directory.fd} ${key.fd}\n`);
