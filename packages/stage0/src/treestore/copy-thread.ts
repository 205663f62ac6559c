// The program of second-thread.ts's thread: takes its part in the copies that are asked of it, one after the other.
// Runs in stage0, in a thread of its own.

import { parentPort } from 'node:worker_threads';

import { KernelError } from '@rkt/linux/errno';
import { openKernel } from '@rkt/linux/libc';

import { UnpackError } from '../unpack/errors.ts';
import { TreeCopy } from './copy-tree.ts';
import { CopyWork } from './copy-work.ts';
import type { CopyOrder, CopyReport, Failure } from './second-thread.ts';

parentPort?.on('message', (order: CopyOrder | undefined) => {
  if (order === undefined) return parentPort?.close();
  const work = new CopyWork(order.memory);
  // All may be copied by now; then nobody waits for a report.
  if (work.join()) parentPort?.postMessage(takePart(order, work));
});

function takePart({ source, target, options }: CopyOrder, work: CopyWork): CopyReport {
  const warnings: string[] = [];
  try {
    const warn = (message: string): void => void warnings.push(message);
    using copy = new TreeCopy(source, target, openKernel(), { ...options, warn }, work);
    for (;;) {
      const { changes } = work;
      const state = copy.next();
      if (state === 'end') return { linked: copy.linked, warnings };
      if (state === 'wait') work.waitForChange(changes);
    }
  } catch (error) {
    work.close();
    return { linked: [], warnings, failure: failureOf(error) };
  }
}

function failureOf(error: unknown): Failure {
  if (error instanceof UnpackError) return { kind: 'unpack', code: error.code, message: error.message };
  if (error instanceof KernelError) {
    const { syscall, errno, path } = error;
    return { kind: 'kernel', syscall, errno, path };
  }
  return { kind: 'other', message: error instanceof Error ? error.message : String(error) };
}
