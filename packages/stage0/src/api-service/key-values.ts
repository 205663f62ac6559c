// Annotations and labels in the API's words. Pure. Runs in stage0.

import type { KeyValue } from './v1alpha.ts';

export function keyValues(
  pairs: readonly { readonly name: string; readonly value: string }[] | undefined,
): KeyValue[] {
  return (pairs ?? []).map(({ name, value }) => ({ Key: name, value }));
}
