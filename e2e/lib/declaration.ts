// The file in which a stage1 of somebody else declares its abilities (docs/stage1-guide.md). Runs in the mocha process.

import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

import { type Ability, ABILITY_NAMES, type Claim, type Claims, nothingBut } from './abilities.ts';

/** What the file says. */
export interface Declaration {
  readonly name: string;
  /** Absolute; absent: `stage1-NAME.aci` beside the executable under test. */
  readonly image?: string;
  /** What `--net` is given where a test does not care: it needs no configuration. */
  readonly net: string;
  /** How what an app writes comes out: as it is, or as lines of journald. */
  readonly output: 'plain' | 'journal';
  readonly claims: Claims;
}

/** Reads `file`. Throws what is wrong with it. */
export function readDeclaration(file: string): Declaration {
  const fail = (what: string): never => {
    throw new Error(`${file}: ${what}`);
  };
  const { name, image, net, output, abilities, others } = readObject(file, fail);
  if (typeof name !== 'string' || name === '') return fail('"name" is not a name');
  if (typeof net !== 'string' || net === '') return fail('"net" is not what --net takes, such as "none"');
  if (output !== 'plain' && output !== 'journal') return fail('"output" is neither "plain" nor "journal"');
  if (image !== undefined && typeof image !== 'string') return fail('"image" is not a path');
  if (!isObject(abilities)) return fail('"abilities" is not an object');
  const given: Partial<Record<Ability, Claim>> = {};
  for (const [ability, claim] of Object.entries(abilities)) {
    if (!isAbility(ability)) return fail(`no ability "${ability}": they are ${ABILITY_NAMES.join(', ')}`);
    if (!isClaim(claim))
      return fail(`"${ability}" is neither "yes" nor one of refuses, warns, lacks with a text`);
    given[ability] = claim;
  }
  const missing = ABILITY_NAMES.filter((ability) => given[ability] === undefined);
  if (missing.length > 0 && (typeof others !== 'string' || others === ''))
    return fail(`it says neither ${missing.join(', ')} nor, in "others", why it lacks them`);
  return {
    name,
    ...(image === undefined ? {} : { image: resolve(dirname(file), image) }),
    net,
    output,
    claims: nothingBut(String(others), given),
  };
}

type Json = Readonly<Record<string, unknown>>;

function readObject(file: string, fail: (what: string) => never): Json {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    return fail((error as Error).message);
  }
  return isObject(value) ? value : fail('not an object');
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isAbility(name: string): name is Ability {
  return (ABILITY_NAMES as readonly string[]).includes(name);
}

function isClaim(value: unknown): value is Claim {
  if (value === 'yes') return true;
  if (!isObject(value)) return false;
  const [[kind, text] = [], ...more] = Object.entries(value);
  return (
    more.length === 0 &&
    ['refuses', 'warns', 'lacks'].includes(kind ?? '') &&
    typeof text === 'string' &&
    text !== ''
  );
}
