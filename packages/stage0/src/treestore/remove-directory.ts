// Deletes a directory of ours, whatever an image put into it. Runs in stage0.

import { rmSync } from 'node:fs';

import { withKernelErrors } from '@rkt/linux/errno';

/** Removes `directory` and everything below it; links are not followed. @throws KernelError */
export function removeDirectory(directory: string): void {
  withKernelErrors(directory, () => rmSync(directory, { recursive: true, force: true }));
}
