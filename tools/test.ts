// `npm test`: everything that decides whether a change may land, cheapest first. Runs on the developer's machine and in
// CI. The last line sums up: `N passed, N failed, N skipped`, where each check without tests of its own counts as one.
import { spawn } from 'node:child_process';
import path from 'node:path';
import { workspaceRoot } from './workspace.ts';

interface Step {
  readonly name: string;
  readonly command: readonly string[];
  /** Steps whose failure makes this one pointless. */
  readonly needs?: readonly string[];
}

interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

const NODE = ['node', '--conditions=@rkt/source'];

const STEPS: readonly Step[] = [
  { name: 'format', command: ['prettier', '--check', '--log-level=warn', '.'] },
  { name: 'lint', command: ['oxlint', '--deny-warnings'] },
  { name: 'typecheck', command: ['tsc', '-b'] },
  { name: 'boundaries', command: [...NODE, 'tools/boundaries.ts'] },
  { name: 'unit', command: ['mocha', 'packages/*/src/**/*.test.ts', 'tools/**/*.test.ts'] },
  { name: 'build', command: [...NODE, 'tools/build.ts'] },
  {
    name: 'e2e',
    command: ['mocha', '--config', 'e2e/.mocharc.json', 'e2e/suites/**/*.test.ts'],
    needs: ['build'],
  },
  { name: 'guest', command: [...NODE, 'tools/guest/guest.ts'], needs: ['build'] },
];

/** The closing line of tools/mocha-reporter.cjs. */
const SUMMARY = /^(\d+) passed, (\d+) failed, (\d+) skipped$/gm;

/** What a step counts for, from its output and its exit status. */
export function countsOf(output: string, status: number): Counts {
  const last = [...output.matchAll(SUMMARY)].at(-1);
  if (last === undefined) {
    return status === 0 ? { passed: 1, failed: 0, skipped: 0 } : { passed: 0, failed: 1, skipped: 0 };
  }
  const [passed = 0, failed = 0, skipped = 0] = last.slice(1).map(Number);
  // A runner that died after its last test, or in a hook, has failed although no test of its did.
  return { passed, failed: failed === 0 && status !== 0 ? 1 : failed, skipped };
}

async function runStep(step: Step): Promise<{ output: string; status: number }> {
  const [program, ...args] = step.command;
  const child = spawn(path.join(workspaceRoot, 'node_modules/.bin', program ?? ''), args, {
    cwd: workspaceRoot,
    env: {
      ...process.env,
      PATH: `${path.join(workspaceRoot, 'node_modules/.bin')}:${process.env['PATH'] ?? ''}`,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const chunks: Buffer[] = [];
  for (const [from, to] of [
    [child.stdout, process.stdout],
    [child.stderr, process.stderr],
  ] as const) {
    from.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      to.write(chunk);
    });
  }
  const status = await new Promise<number>((resolve) => {
    child.on('error', () => resolve(127));
    child.on('close', (code) => resolve(code ?? 1));
  });
  return { output: Buffer.concat(chunks).toString(), status };
}

/** Runs the steps named in `only`, or all; the result is the exit status. */
async function main(only: readonly string[]): Promise<number> {
  const totals = { passed: 0, failed: 0, skipped: 0 };
  const broken: string[] = [];
  for (const step of STEPS) {
    if (only.length > 0 && !only.includes(step.name)) continue;
    if (step.needs?.some((name) => broken.includes(name)) === true) {
      console.log(`== ${step.name}: not run, since ${step.needs.join(' and ')} failed`);
      totals.failed += 1;
      continue;
    }
    console.log(`== ${step.name}`);
    const started = performance.now();
    const { output, status } = await runStep(step);
    const counts = countsOf(output, status);
    totals.passed += counts.passed;
    totals.failed += counts.failed;
    totals.skipped += counts.skipped;
    if (counts.failed > 0) broken.push(step.name);
    console.log(
      `== ${step.name}: ${status === 0 ? 'ok' : 'FAILED'}, ${((performance.now() - started) / 1000).toFixed(1)} s`,
    );
  }
  if (broken.length > 0) console.log(`failed: ${broken.join(', ')}`);
  console.log(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
  return totals.failed === 0 ? 0 : 1;
}

if (import.meta.main) process.exitCode = await main(process.argv.slice(2));
