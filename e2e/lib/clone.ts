// A copy of the repository that costs nothing: an overlay over it, so that commands of developers run in a whole clone and
// leave the real one as it is. Runs in the mocha process, in the mount namespace of a suite.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { MNT_DETACH } from '@rkt/linux/constants';
import { openKernel } from '@rkt/linux/libc';

import { BASE_ENVIRONMENT, REPOSITORY } from './environment.ts';
import { execute, type Result } from './process.ts';
import { expectStatus } from './rkt.ts';

/** A clone, until it is disposed of. */
export class Clone implements Disposable {
  readonly path: string;
  readonly #scratch: string;

  /** Makes it below `directory`, which must be on a file system that an overlay can write to. */
  constructor(directory: string) {
    const place = (name: string): string => {
      const path = join(directory, name);
      mkdirSync(path, { recursive: true });
      return path;
    };
    this.path = place('clone');
    this.#scratch = place('clone-tmp');
    const options = `lowerdir=${REPOSITORY},upperdir=${place('clone-changes')},workdir=${place('clone-work')}`;
    openKernel().mount('overlay', this.path, 'overlay', 0, options);
  }

  /** Runs a command in the root of the clone and expects it to succeed. */
  async run(
    [program, ...words]: readonly [string, ...string[]],
    env: Readonly<Record<string, string>> = {},
  ): Promise<Result> {
    const result = await execute(program, words, {
      cwd: this.path,
      timeoutMs: 240_000,
      env: {
        ...BASE_ENVIRONMENT,
        TMPDIR: this.#scratch,
        NX_DAEMON: 'false',
        // Else a clone with work trees has one for all of them, and nothing would be built.
        NX_CACHE_DIRECTORY: join(this.path, '.nx/cache'),
        // All that the lock file names is there.
        npm_config_prefer_offline: 'true',
        ...env,
      },
    });
    return expectStatus(result, 0);
  }

  [Symbol.dispose](): void {
    openKernel().umount2(this.path, MNT_DETACH);
  }
}
