// --insecure-options (contract stage0 1.8). Pure; runs in stage0.

import { quote } from '@rkt/diagnostics/quote';

import { badValue } from '../errors.ts';
import type { Flag } from '../flag.ts';
import type { InsecureOptions } from '../requests.ts';

type InsecureOption = keyof InsecureOptions;

const ALL_FETCH: readonly InsecureOption[] = ['image', 'tls', 'http', 'pubkey'];
const ALL_RUN: readonly InsecureOption[] = ['capabilities', 'paths', 'seccomp'];

const EFFECTS: ReadonlyMap<string, readonly InsecureOption[]> = new Map<string, readonly InsecureOption[]>([
  ['none', []],
  ['image', ['image']],
  ['tls', ['tls']],
  ['ondisk', ['onDisk']],
  ['http', ['http']],
  ['pubkey', ['pubkey']],
  ['capabilities', ['capabilities']],
  ['paths', ['paths']],
  ['seccomp', ['seccomp']],
  // Not among those of all-run, which is what it was in rkt 1.30.
  ['limits', ['limits']],
  ['all-fetch', ALL_FETCH],
  ['all-run', ALL_RUN],
  ['all', [...ALL_FETCH, ...ALL_RUN]],
]);

/** Nothing disabled. */
export const SECURE: InsecureOptions = {
  image: false,
  tls: false,
  onDisk: false,
  http: false,
  pubkey: false,
  capabilities: false,
  paths: false,
  seccomp: false,
  limits: false,
};

/** What a comma list such as `image,tls` turns off. */
export function parseInsecureOptions(text: string): InsecureOptions {
  const words = text === '' ? [] : text.split(',').map((word) => word.toLowerCase());
  const options: Record<InsecureOption, boolean> = { ...SECURE };
  for (const [index, word] of words.entries()) {
    const effect = EFFECTS.get(word);
    if (effect === undefined) throw badValue(`unknown option ${quote(word)}`);
    if (words.indexOf(word) < index) throw badValue(`duplicated option ${quote(word)}`);
    for (const option of effect) options[option] = true;
  }
  return options;
}

/** The features that are turned off as one could write them, or `none`. */
export function describeInsecureOptions(options: InsecureOptions): string {
  const off = (Object.keys(SECURE) as InsecureOption[]).filter((option) => options[option]);
  return off.length === 0 ? 'none' : off.join(',').toLowerCase();
}

/** The last occurrence replaces the ones before. */
export const insecureOptions: Flag<InsecureOptions> = {
  type: 'string',
  describe: `Security features to turn off, separated by commas: ${[...EFFECTS.keys()].join(', ')}`,
  placeholder: 'LIST',
  initial: SECURE,
  defaultDescription: 'none',
  complete: [...EFFECTS.keys()],
  set: (_previous, text) => parseInsecureOptions(text),
};
