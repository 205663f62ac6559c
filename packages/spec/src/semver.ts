// AC Version: strict semantic versions (contract stage0 3.1, semver.org 2.0.0). Pure; runs in every process.

import { scalar } from './codec.ts';
import type { Codec } from './codec.ts';
import { refuse } from './errors.ts';

/** `MAJOR.MINOR.PATCH[-pre][+meta]`. */
export type SemVer = string;

const SEMVER =
  /^(?:0|[1-9]\d*)(?:\.(?:0|[1-9]\d*)){2}(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?$/;

/** `version` if it is a semantic version other than 0.0.0. @throws SpecError */
export function parseSemVer(version: string): SemVer {
  if (!SEMVER.test(version)) refuse('SemVer is bad');
  return version === '0.0.0' ? refuse('SemVer cannot be zero') : version;
}

export const SemVer: Codec<SemVer> = scalar('SemVer', parseSemVer);
