// `npm run fuzz`: runs the property tests longer than `npm test` does, in rounds with a new seed each, while
// there is time for one more, or until one fails. Runs on the developer's machine, as root where the tests need it.
import { spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { fuzzEnvironment } from '@rkt/property-runs/runs';
import { listFiles, readJson, runTool, workspaceRoot } from './workspace.ts';

const USAGE = 'usage: npm run fuzz -- [--minutes N] [--runs FACTOR] [--seed N] [--list] [WORD...]';

const DEFAULT_MINUTES = 5;
/** The first round shows what is broken at all; later ones go deeper. */
const FIRST_FACTOR = 3;
const MOST_FACTOR = 100;
/** Below what single tests allow themselves. */
const PROPERTY_LIMIT_MS = 60_000;

/** What was asked for. */
export interface FuzzPlan {
  readonly files: readonly string[];
  readonly minutes: number;
  /** One round of this many times the usual runs instead of rounds that grow. */
  readonly factor: number | undefined;
  readonly seed: number | undefined;
  readonly listOnly: boolean;
}

/** Reads the command line; `tests` are the files of property tests. Throws what is wrong with it. */
export function fuzzPlan(args: readonly string[], tests: readonly string[]): FuzzPlan {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      minutes: { type: 'string' },
      runs: { type: 'string' },
      seed: { type: 'string' },
      list: { type: 'boolean', default: false },
    },
  });
  const files = tests.filter(
    (file) => positionals.length === 0 || positionals.some((word) => file.includes(word)),
  );
  if (files.length === 0)
    throw new Error(`no property test is called like ${positionals.join(', ')}; ${USAGE}`);
  return {
    files,
    minutes: positive('minutes', values.minutes) ?? DEFAULT_MINUTES,
    factor: positive('runs', values.runs),
    seed: positive('seed', values.seed),
    listOnly: values.list,
  };
}

function positive(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const number = Number(text);
  if (!(number > 0 && Number.isFinite(number)))
    throw new Error(`--${name}: ${text} is no number above zero; ${USAGE}`);
  return number;
}

/** Tests that take their run count from @rkt/property-runs, or leave it to fast-check; relative to the root. */
export function propertyTests(root: string = workspaceRoot): string[] {
  const isTest = (name: string): boolean => name.endsWith('.test.ts');
  return ['packages', 'tools', 'e2e/suites']
    .flatMap((directory) => listFiles(path.join(root, directory), isTest))
    .filter((file) => /from '(?:fast-check|@rkt\/property-runs\/runs)'/.test(fs.readFileSync(file, 'utf8')))
    .map((file) => path.relative(root, file));
}

interface Round {
  readonly factor: number;
  readonly seed: number;
  readonly limitMs: number;
}

// Without the configuration of mocha, which would add all other tests.
function runRound(files: readonly string[], { factor, seed, limitMs }: Round): boolean {
  const config = readJson<{ 'node-option': string[]; require: string[]; reporter: string }>(
    path.join(workspaceRoot, '.mocharc.json'),
  );
  const options = [
    '--no-config',
    '--no-package',
    ...config['node-option'].flatMap((option) => ['--node-option', option]),
    ...config.require.flatMap((module) => ['--require', module]),
    '--reporter',
    config.reporter,
    '--timeout=0',
  ];
  const { status } = spawnSync(path.join(workspaceRoot, 'node_modules/.bin/mocha'), [...options, ...files], {
    cwd: workspaceRoot,
    env: { ...process.env, ...fuzzEnvironment({ factor, seed, limitMs }), RKT_TEST_VERBOSE: '1' },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  return status === 0;
}

function main(args: readonly string[]): void {
  const { files, minutes, factor, seed, listOnly } = fuzzPlan(args, propertyTests());
  if (listOnly) return console.log(files.join('\n'));
  const end = Date.now() + minutes * 60_000;
  // A later round tries more, so it takes no less than the one before.
  let lastMs = 0;
  for (let round = 1; round === 1 || Date.now() + lastMs < end; round += 1) {
    const started = Date.now();
    const request = {
      factor: factor ?? Math.min(MOST_FACTOR, FIRST_FACTOR * 2 ** (round - 1)),
      seed: seed ?? randomInt(1, 2 ** 31),
      limitMs: Math.max(1000, Math.min(PROPERTY_LIMIT_MS, end - Date.now())),
    };
    console.log(
      `== round ${round}: seed ${request.seed}, ${request.factor} times the runs, ${files.length} file(s)`,
    );
    if (!runRound(files, request)) {
      throw new Error(`failed; again: npm run fuzz -- --seed ${request.seed} --runs ${request.factor} FILE`);
    }
    lastMs = Date.now() - started;
    // The same inputs again would find nothing new.
    if (seed !== undefined) break;
  }
}

if (import.meta.main) await runTool('fuzz', () => main(process.argv.slice(2)));
