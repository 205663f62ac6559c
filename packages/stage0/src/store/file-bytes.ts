// The bytes of an open file in pieces. Runs in stage0.

import { readSync } from 'node:fs';

const CHUNK_BYTES = 1024 * 1024;

/** The bytes of an open file from `position` on. A yielded buffer is the caller's until the next one is asked for. */
export function* fileBytes(fd: number, position = 0): Generator<Buffer, void, undefined> {
  const buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  for (let at = position; ;) {
    const length = readSync(fd, buffer, 0, buffer.length, at);
    if (length === 0) return;
    at += length;
    yield buffer.subarray(0, length);
  }
}
