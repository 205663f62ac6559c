// Declaring the checks of the conformance suite, and what became of them: the cells of docs/flavours.md. Runs in the
// mocha process.

import assert from 'node:assert/strict';

import { ABILITIES, type Ability, ABILITY_NAMES, type Claim } from './abilities.ts';
import type { Flavour } from './flavours.ts';
import type { Result } from './process.ts';
import { skip } from './requires.ts';

/** What became of an ability's checks on one flavour: the worst of them. */
export type Outcome = 'passed' | 'failed' | 'skipped';

/** Flavour and ability to outcome; only what was declared is in it. */
const outcomes = new Map<string, Outcome>();
const declared = new Set<string>();

const key = (flavour: Flavour, ability: Ability): string => `${flavour.name} ${ability}`;

/** Whether the suite has a check of this ability for this flavour. */
export function isChecked(flavour: Flavour, ability: Ability): boolean {
  return declared.has(key(flavour, ability));
}

/** Whether one of the checks of this flavour ran. */
export function hasRun(flavour: Flavour): boolean {
  return ABILITY_NAMES.some((ability) =>
    ['passed', 'failed'].includes(outcomes.get(key(flavour, ability)) ?? ''),
  );
}

/**
 * Declares a test of something that a flavour claims; where it does not, a skip with the declared reason, once.
 * Flavours that refuse or warn are the matter of {@link attempt}.
 */
export function check(
  flavour: Flavour,
  ability: Ability,
  title: string,
  body: (this: Mocha.Context) => void | Promise<void>,
): void {
  const claim = flavour.claims[ability];
  if (claim === 'yes') return test(flavour, ability, title, body);
  if (!('lacks' in claim) || isChecked(flavour, ability)) return;
  test(flavour, ability, title, function () {
    skip(this, `${flavour.name}: ${claim.lacks}`);
  });
}

/** Declares, for a flavour that refuses an ability or warns of going without, the test that it does so. */
export function attempt(flavour: Flavour, ability: Ability, ask: () => Promise<Result>): void {
  const claim = flavour.claims[ability];
  if (claim === 'yes' || 'lacks' in claim) return;
  const [verb, text] =
    'refuses' in claim ? ['refuses', claim.refuses] : ['warns that it ignores', claim.warns];
  test(flavour, ability, `${verb} this`, async () => {
    const result = await ask();
    assert.ok(
      result.output.includes(text),
      `expected "${text}" in the output of ${result.command}:\n${result.output}`,
    );
    if ('refuses' in claim) assert.notEqual(result.status, 0, result.output);
    else assert.equal(result.status, 0, result.output);
  });
}

function test(
  flavour: Flavour,
  ability: Ability,
  title: string,
  body: (this: Mocha.Context) => void | Promise<void>,
): void {
  const cell = key(flavour, ability);
  declared.add(cell);
  it(`${ability}: ${title}`, async function () {
    // A hook or a skip that ends the test early leaves this.
    let outcome: Outcome = 'failed';
    try {
      await body.call(this);
      outcome = 'passed';
    } catch (error) {
      if (this.test?.isPending() === true) outcome = 'skipped';
      throw error;
    } finally {
      const before = outcomes.get(cell);
      if (before !== 'failed') outcomes.set(cell, before === 'skipped' ? before : outcome);
    }
  });
}

/** The document that this run gives for `flavours`. */
export function flavoursDocument(flavours: readonly Flavour[]): string {
  return [
    '# Flavours',
    '',
    'What a pod can do with each stage1. This page is written by `npm run flavours`, which runs the conformance suite',
    '(`e2e/suites/flavours.test.ts`): "yes" is what its checks have shown, "refused" and "warned" are answers that it got.',
    'The suite fails when the page is not what the run gives. `example` is the stage1 of the',
    '[guide for writers of a stage1](stage1-guide.md).',
    '',
    ...flavoursTable(flavours),
    '',
  ].join('\n');
}

/**
 * What this run gives for `flavours`: a table, and the reasons that it refers to. `unproven` stands where no check has run;
 * without it the claim does.
 */
export function flavoursTable(flavours: readonly Flavour[], unproven?: string): string[] {
  const reasons: string[] = [];
  const noteOf = (reason: string): string => {
    if (!reasons.includes(reason)) reasons.push(reason);
    return String(reasons.indexOf(reason) + 1);
  };
  const header = ['', ...flavours.map(({ name }) => name)];
  const rows = ABILITY_NAMES.map((ability) => [
    ABILITIES[ability],
    ...flavours.map((flavour) =>
      cellOf(outcomes.get(key(flavour, ability)), flavour.claims[ability], noteOf, unproven),
    ),
  ]);
  const notes = reasons.map((reason, index) => `${index + 1}. ${reason}`);
  return [...table([header, ...rows]), '', '## Why not', '', ...notes];
}

function cellOf(
  outcome: Outcome | undefined,
  claim: Claim,
  noteOf: (reason: string) => string,
  unproven: string | undefined,
): string {
  if (outcome === 'failed') return 'FAILS';
  if (outcome !== 'passed' && unproven !== undefined && (claim === 'yes' || !('lacks' in claim)))
    return unproven;
  if (claim === 'yes') return 'yes';
  if ('lacks' in claim) return `no (${noteOf(claim.lacks)})`;
  if ('refuses' in claim) return `refused (${noteOf(`It says "${claim.refuses}".`)})`;
  return `warned (${noteOf(`It says "${claim.warns}".`)})`;
}

// As prettier aligns tables.
function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(3, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  const [head = [], ...body] = rows;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...body.map(line)];
}
