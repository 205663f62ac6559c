// What every entry point is started with, as plain data. Runs in the entry points, on the host.

import type { Logger } from '@rkt/diagnostics/logger';

/** The process as its program sees it. */
export interface EntryPointCall {
  /** Words after argv[0]. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The pod directory, absolute. */
  readonly cwd: string;
  readonly pid: number;
  /** Path the program was called by: `<stage1 root>/init` and the like. */
  readonly program: string;
  readonly logger: Logger;
}
