// `npm run bench [-- --row NAME]...`: how fast dist/rkt is, beside what it is compared with in the same minutes, as
// ratios against budgets.json; exit status 1 when one is over. Runs on the developer's machine, as root.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { build } from '../build.ts';
import { inMountNamespace } from '../mount-namespace.ts';
import { readJson, runTool } from '../workspace.ts';
import { benchDir } from './fixtures.ts';
import type { Row } from './row.ts';
import { ROWS } from './rows.ts';

interface Budget {
  readonly limit: number;
  readonly unit: string;
}

const budgets = readJson<Record<string, Budget>>(path.join(import.meta.dirname, 'budgets.json'));

/**
 * The same state of the machine for each row: nothing to be written to the disk, and none of the cgroups that pods
 * leave in the kernel as long as a page of theirs is cached. With 300 of those a pod starts 80 ms later. Each row warms
 * its caches up again before it measures.
 */
function startAlike(): void {
  spawnSync('sync');
  try {
    fs.writeFileSync('/proc/sys/vm/drop_caches', '3');
  } catch (error) {
    // In a container nobody may; then rows start as the one before has left the machine.
    if (!['EACCES', 'EPERM', 'EROFS'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}

async function report(row: Row): Promise<boolean> {
  const budget = budgets[row.name];
  if (budget === undefined) throw new Error(`budgets.json: no budget of ${row.name}`);
  const title = `${row.name.padEnd(13)} ${row.title.padEnd(52)}`;
  const limit = `budget ${budget.limit} ${budget.unit}`;
  startAlike();
  try {
    const { value, detail } = await row.measure();
    const within = value <= budget.limit;
    console.log(
      `${title} ${value.toFixed(2).padStart(7)}  ${limit.padEnd(20)} ${within ? 'ok  ' : 'OVER'}  ${detail}`,
    );
    return within;
  } catch (error) {
    console.log(
      `${title}       -  ${limit.padEnd(20)} FAIL  ${error instanceof Error ? error.message : String(error)}`,
    );
    return false;
  }
}

function chosenRows(names: readonly string[]): readonly Row[] {
  const unknown = names.find((name) => !ROWS.some((row) => row.name === name));
  if (unknown !== undefined)
    throw new Error(`no row ${unknown}; rows: ${ROWS.map((row) => row.name).join(', ')}`);
  return names.length === 0 ? ROWS : ROWS.filter((row) => names.includes(row.name));
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { row: { type: 'string', multiple: true } } });
  const rows = chosenRows(values.row ?? []);
  const buildUnlessGiven = (): void => {
    if (process.env['RKT_BIN'] === undefined) build();
  };
  if (!inMountNamespace(buildUnlessGiven)) return;
  fs.mkdirSync(benchDir, { recursive: true });
  let over = 0;
  for (const row of rows) if (!(await report(row))) over += 1;
  console.log(over === 0 ? `all ${rows.length} within budget` : `${over} of ${rows.length} over budget`);
  process.exitCode = over === 0 ? 0 : 1;
}

await runTool('bench', main);
