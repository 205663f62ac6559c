// The capability bounding set of an app, from its isolators (contract 2.18). Pure; runs in stage1, on the host.

import { quote } from '@rkt/diagnostics/quote';
import { capabilityNumber } from '@rkt/linux/constants';
import type { App } from '@rkt/spec/app';

import { Stage1Error } from './errors.ts';

/** Isolator that lists what an app keeps. */
export const RETAIN_SET = 'os/linux/capabilities-retain-set';
/** Isolator that lists what is taken from the default set. */
export const REMOVE_SET = 'os/linux/capabilities-remove-set';

/** What an app keeps unless its isolators say otherwise. */
export const DEFAULT_CAPABILITIES: readonly string[] = [
  'CAP_AUDIT_WRITE',
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FSETID',
  'CAP_FOWNER',
  'CAP_KILL',
  'CAP_MKNOD',
  'CAP_NET_RAW',
  'CAP_NET_BIND_SERVICE',
  'CAP_SETUID',
  'CAP_SETGID',
  'CAP_SETPCAP',
  'CAP_SETFCAP',
  'CAP_SYS_CHROOT',
];

/**
 * Names of the capabilities the app may ever hold, upper case, without repeats; empty when all are removed.
 * @throws Stage1Error `bad-capabilities` when sets of both kinds are given, or an unknown one is to be retained
 */
export function boundingSet(app: App): readonly string[] {
  const retained = setsOf(app, RETAIN_SET);
  const removed = setsOf(app, REMOVE_SET);
  if (retained.length > 0 && removed.length > 0) {
    throw new Stage1Error('bad-capabilities', `cannot have both ${RETAIN_SET} and ${REMOVE_SET}`);
  }
  const unknown = retained.flat().find(isUnknown);
  if (unknown !== undefined)
    throw new Stage1Error('bad-capabilities', `unknown capability ${quote(unknown)}`);
  if (retained.length > 0) return [...new Set(retained.flat())];
  const taken = new Set(removed.flat());
  return DEFAULT_CAPABILITIES.filter((name) => !taken.has(name));
}

/** Capabilities that the app shall not have, and that nobody has. */
export function unknownRemoved(app: App): string[] {
  return setsOf(app, REMOVE_SET).flat().filter(isUnknown);
}

const isUnknown = (name: string): boolean => capabilityNumber(name) === undefined;

function setsOf(app: App, isolator: string): string[][] {
  return (app.isolators ?? [])
    .filter(({ name }) => name === isolator)
    .map(({ value }) => ((value as { set?: readonly string[] }).set ?? []).map((name) => name.toUpperCase()));
}
