// Environment variables of an app (contract stage0 3.1, 3.3). Pure; runs in every process.

import { quote } from '@rkt/diagnostics/quote';

import { defaulted, required, scalar, struct, systemText, uniqueList } from './codec.ts';
import type { Codec } from './codec.ts';
import { refuse } from './errors.ts';

export interface EnvironmentVariable {
  readonly name: string;
  readonly value: string;
}

const EMPTY_NAME = 'environment variable name must not be empty';

/** `name` if it may name an environment variable. @throws SpecError */
export function parseEnvironmentName(name: string): string {
  if (name === '') refuse(EMPTY_NAME);
  return /^[A-Za-z_][A-Za-z_0-9.-]*$/.test(name)
    ? name
    : refuse(`environment variable does not have valid identifier ${quote(name)}`);
}

export const EnvironmentVariable: Codec<EnvironmentVariable> = struct<EnvironmentVariable>(
  'EnvironmentVariable',
  {
    name: required(scalar('EnvironmentName', parseEnvironmentName), EMPTY_NAME),
    value: defaulted(systemText, ''),
  },
);

/** Variables with unique names; the order is kept. */
export const Environment: Codec<readonly EnvironmentVariable[]> = uniqueList(
  EnvironmentVariable,
  ({ name }) => name,
  (name) => `duplicate environment variable of name ${quote(name)}`,
);
