// The environment of an app, from its image and the command line (contract stage0 8.5). Pure. Runs in stage0.

import type { EnvironmentVariable } from '@rkt/spec/environment';

/** Where variables come from, weakest first. */
export interface EnvironmentSources {
  readonly image: readonly EnvironmentVariable[];
  /** --inherit-env: only for names nobody else sets. */
  readonly inherited: Readonly<Record<string, string>>;
  readonly app: Readonly<Record<string, string>>;
  readonly setEnvFile: readonly EnvironmentVariable[];
  readonly setEnv: readonly EnvironmentVariable[];
}

/** Merged variables: replaced ones keep their place, new ones are appended. */
export function mergeEnvironment(sources: EnvironmentSources): EnvironmentVariable[] {
  const merged = new Map(sources.image.map(({ name, value }) => [name, value]));
  for (const [name, value] of Object.entries(sources.app)) merged.set(name, value);
  for (const [name, value] of Object.entries(sources.inherited))
    if (!merged.has(name)) merged.set(name, value);
  for (const { name, value } of [...sources.setEnvFile, ...sources.setEnv]) merged.set(name, value);
  return [...merged].map(([name, value]) => ({ name, value }));
}

/** Variables of the caller that an app can have: those with names the standard allows. */
export function inheritableEnvironment(env: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(env).filter(([name]) => /^[A-Za-z_][A-Za-z_0-9.-]*$/.test(name)));
}
