// Volumes that are device nodes of the host: what the app may do with them (contract 2.22). Runs in the run entry point.
//
// systemd allows devices by number as well as by name (/dev/char/MAJOR:MINOR), so no node or link has to exist.

import { lstatSync } from 'node:fs';

import { hasCode } from '@rkt/diagnostics/rkt-error';

import type { BindIntoPod } from './mounts.ts';

/** A device an app may open. */
export interface AllowedDevice {
  readonly type: 'block' | 'char';
  readonly major: number;
  readonly minor: number;
  readonly writable: boolean;
}

/** The device behind a bind mount, when its source itself is a device node; links are not followed. */
export function boundDevice({
  source,
  readOnly,
}: Pick<BindIntoPod, 'source' | 'readOnly'>): AllowedDevice | undefined {
  let status;
  try {
    status = lstatSync(source, { bigint: true });
  } catch (error) {
    // nspawn says so, in its own words (contract 2.23).
    if (hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR')) return undefined;
    throw error;
  }
  const type = status.isBlockDevice() ? 'block' : status.isCharacterDevice() ? 'char' : undefined;
  if (type === undefined) return undefined;
  return { type, ...deviceNumbers(status.rdev), writable: !readOnly };
}

/** Splits a device number as the C library does (makedev(3)). */
export function deviceNumbers(device: bigint): { major: number; minor: number } {
  return {
    major: Number(((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xffff_f000n)),
    minor: Number((device & 0xffn) | ((device >> 12n) & 0xffff_ff00n)),
  };
}
