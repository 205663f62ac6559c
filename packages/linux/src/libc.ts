// The kernel through libc: all calls of kernel.ts in one object. Runs in every process.

import { credentialCalls } from './calls/credential-calls.ts';
import { descriptorCalls } from './calls/descriptor-calls.ts';
import { fileCalls } from './calls/file-calls.ts';
import { mountCalls } from './calls/mount-calls.ts';
import { processCalls } from './calls/process-calls.ts';
import { xattrCalls } from './calls/xattr-calls.ts';
import type { Kernel } from './kernel.ts';

let kernel: Kernel | undefined;

/** The real kernel. Costs nothing until a call is made; each call binds its symbol at first use. */
export function openKernel(): Kernel {
  kernel ??= {
    ...mountCalls,
    ...fileCalls,
    ...xattrCalls,
    ...credentialCalls,
    ...processCalls,
    ...descriptorCalls,
  };
  return kernel;
}
