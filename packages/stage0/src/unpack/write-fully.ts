// A write that ends with all bytes written. Runs in stage0, in any of its threads.

import { writeSync } from 'node:fs';

/** Writes all of `bytes` at `position`. @throws node's errors */
export function writeFully(fd: number, bytes: Uint8Array, position: number): void {
  for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at, bytes.length - at, position + at);
}
