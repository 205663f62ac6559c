// The thread that takes part in copies of trees, as its starter sees it. Runs in stage0, in its main thread.
//
// It starts while other things are done, and is never waited for before it has come: a small tree is copied by then.

import { once } from 'node:events';
import { getAsset, isSea } from 'node:sea';
import { Worker, type WorkerOptions } from 'node:worker_threads';

import { KernelError } from '@rkt/linux/errno';

import type { BytePath } from '../unpack/byte-path.ts';
import { UnpackError, type UnpackErrorCode } from '../unpack/errors.ts';
import type { CopyOptions } from './copy-tree.ts';
import type { CopyWork } from './copy-work.ts';

/** What the thread is told. */
export interface CopyOrder {
  readonly source: string;
  readonly target: string;
  readonly options: Omit<CopyOptions, 'warn'>;
  readonly memory: SharedArrayBuffer;
}

/** What it says at the end of each copy. */
export interface CopyReport {
  /** Files with several names, which it has left for the end. */
  readonly linked: readonly BytePath[];
  readonly warnings: readonly string[];
  readonly failure?: Failure;
}

/** An error on its way between threads. */
export type Failure =
  | { readonly kind: 'unpack'; readonly code: UnpackErrorCode; readonly message: string }
  | {
      readonly kind: 'kernel';
      readonly syscall: string;
      readonly errno: number;
      readonly path?: string | undefined;
    }
  | { readonly kind: 'other'; readonly message: string };

/** Its name among the executable's assets; tools/build-rkt.ts puts it there. */
const ASSET = 'copy-thread';

// Its descriptors are opened by calls that node knows nothing of, and closed by node. It prints nothing, and node takes
// milliseconds to set up our own streams for it.
const OPTIONS: WorkerOptions = { trackUnmanagedFds: false, stdout: true, stderr: true };

/** One thread, for one copy at a time. */
export class SecondThread implements Disposable {
  readonly #worker: Worker;
  readonly #ended: Promise<never>;
  #report: (report: CopyReport) => void = () => undefined;

  constructor() {
    this.#worker = isSea()
      ? new Worker(getAsset(ASSET, 'latin1'), { ...OPTIONS, eval: true })
      : new Worker(new URL('./copy-thread.ts', import.meta.url), OPTIONS);
    this.#worker.on('message', (report: CopyReport) => this.#report(report));
    this.#ended = once(this.#worker, 'exit').then(() => {
      throw new Error('the thread that copies has ended');
    });
    // Whoever waits for a report gets it.
    this.#ended.catch(() => undefined);
  }

  /** Asks for its part in a copy; resolves when that is done, if it came in time. @throws what it failed with */
  async help({
    source,
    target,
    options: { warn, ...options },
    work,
  }: Omit<CopyOrder, 'memory' | 'options'> & {
    readonly options: CopyOptions;
    readonly work: CopyWork;
  }): Promise<CopyReport> {
    const order: CopyOrder = { source, target, options, memory: work.memory };
    const { promise, resolve } = Promise.withResolvers<CopyReport>();
    this.#report = resolve;
    this.#worker.postMessage(order);
    const report = await Promise.race([promise, this.#ended]);
    for (const warning of report.warnings) warn(warning);
    if (report.failure !== undefined) throw errorOf(report.failure);
    return report;
  }

  /** Lets it end. Nobody waits for that. */
  [Symbol.dispose](): void {
    this.#worker.postMessage(undefined);
    this.#worker.unref();
  }
}

function errorOf(failure: Failure): Error {
  if (failure.kind === 'unpack') return new UnpackError(failure.code, failure.message);
  if (failure.kind === 'kernel')
    return new KernelError(failure.syscall, failure.errno, { path: failure.path });
  return new Error(failure.message);
}
