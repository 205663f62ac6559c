// Temporary directories that go away with the test. Runs in the test process.

import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A directory for one test or suite; `using` or `remove()` deletes it. */
export class TempDir implements Disposable {
  readonly path: string;

  constructor(name = 'test') {
    this.path = mkdtempSync(join(tmpdir(), `rkt-${name}-`));
    // Programs that drop their privileges must be able to pass.
    chmodSync(this.path, 0o755);
  }

  /** A path below the directory. */
  join(...parts: readonly string[]): string {
    return join(this.path, ...parts);
  }

  /** Deletes everything; names too long for Node and other users' files included. */
  remove(): void {
    try {
      rmSync(this.path, { recursive: true, force: true, maxRetries: 3 });
    } catch {
      spawnSync('rm', ['-rf', '--one-file-system', '--', this.path]);
    }
  }

  [Symbol.dispose](): void {
    this.remove();
  }
}
