// What the caller of the suites decides: the only place of e2e that reads the environment. Runs in the mocha process.

import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

/** Root of the repository. */
export const REPOSITORY: string = join(import.meta.dirname, '../..');

/** The executable under test. */
export const RKT_BIN: string = resolve(process.env['RKT_BIN'] ?? join(REPOSITORY, 'dist/rkt'));

/** Directory of the stage1 images, beside the executable. */
export const STAGE1_DIR: string = resolve(process.env['RKT_STAGE1_DIR'] ?? dirname(RKT_BIN));

/** Names of the flavours to test, e.g. `RKT_FLAVOURS=nspawn`; empty means all. */
export const FLAVOUR_NAMES: readonly string[] = (process.env['RKT_FLAVOURS'] ?? '')
  .split(',')
  .filter((name) => name !== '');

/** File with what a flavour of somebody else declares of itself (docs/stage1-guide.md); absent: those of this repository. */
export const FLAVOUR_FILE: string | undefined = process.env['RKT_FLAVOUR_FILE'];

/** Whether files that tests compare with are to be written instead. */
export const UPDATES_GOLDEN: boolean = process.env['RKT_UPDATE_GOLDEN'] === '1';

/** How much longer than on a usual machine tests wait for what must happen, e.g. `RKT_PATIENCE=10` in an emulated one. */
export const PATIENCE: number = Number(process.env['RKT_PATIENCE'] ?? 1);

/** Data directory that suites start with a copy of, so that not each of them unpacks stage1; absent: they start empty. */
export const STORE_SEED: string | undefined = process.env['RKT_STORE_SEED'];

/** Environment every rkt under test starts with; nothing but contract stage0 1.11 may influence it. */
export const BASE_ENVIRONMENT: Readonly<Record<string, string>> = {
  PATH: process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin',
  LANG: 'C.UTF-8',
  TZ: 'UTC',
  TERM: 'dumb',
};

/** Whether there is something to test at all. */
export function hasExecutable(): boolean {
  return existsSync(RKT_BIN);
}
