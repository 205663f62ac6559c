import type { EntryPointCall } from './entry-point.ts';
export function enter(_call: EntryPointCall): number {
  throw new Error('later');
}
