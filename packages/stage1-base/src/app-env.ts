// Environment of an app (contract 0, 2.10). Pure; runs in stage1, on the host.

import { AC_APP_NAME, AC_METADATA_URL, DEFAULT_APP_ENVIRONMENT } from '@rkt/pod-layout/environment';
import type { EnvironmentVariable } from '@rkt/spec/environment';

import type { LoadedApp } from './pod.ts';

/** Variable of the appc standard that tells an app it runs in a container. */
const CONTAINER = 'container';

/**
 * Defaults for what the app does not set, then the app's own variables in order, then what only the executor knows.
 * AC_APP_NAME and AC_METADATA_URL are ours even when the app sets them; `container` gives way to the app's.
 */
export function appEnvironment(
  { name, app }: Pick<LoadedApp, 'name' | 'app'>,
  metadataUrl?: string,
): readonly EnvironmentVariable[] {
  const own = app.environment ?? [];
  const set = new Set(own.map((variable) => variable.name));
  const defaults = [...DEFAULT_APP_ENVIRONMENT, [CONTAINER, 'rkt'] as const]
    .filter(([key]) => !set.has(key))
    .map(([key, value]) => ({ name: key, value }));
  const executor: EnvironmentVariable[] = [{ name: AC_APP_NAME, value: name }];
  if (metadataUrl !== undefined) executor.push({ name: AC_METADATA_URL, value: metadataUrl });
  const fixed = new Set(executor.map((variable) => variable.name));
  return [...defaults, ...own.filter((variable) => !fixed.has(variable.name)), ...executor];
}

/** The value of `name` in `variables`, the last one winning. */
export function environmentValue(
  variables: readonly EnvironmentVariable[],
  name: string,
): string | undefined {
  return variables.findLast((variable) => variable.name === name)?.value;
}
