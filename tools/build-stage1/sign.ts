// Signs a stage1 image: FILE.asc, the detached signature that rkt looks for beside FILE. `sign.ts FLAVOUR` is the end of
// `npx nx run stage1-FLAVOUR:build`. Runs at build time.
//
// It is a target of its own, which no cache holds: a signature is by the key that is there now.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { distDir, runTool, workspaceRoot } from '../workspace.ts';

/** The name of a key of GnuPG: who sets it gets signed images. */
export const SIGNING_KEY = 'RKT_SIGNING_KEY';

/**
 * Signs `file` with the key that the environment names, or removes the signature of an earlier build when it names none.
 * Returns the path of the signature, undefined when there is none. Throws what gpg reports.
 */
export function signImage(file: string, environment: NodeJS.ProcessEnv = process.env): string | undefined {
  const signature = `${file}.asc`;
  fs.rmSync(signature, { force: true });
  const key = environment[SIGNING_KEY] ?? '';
  if (key === '') return undefined;
  const words = ['--batch', '--yes', '--armor', '--local-user', key, '--output', signature];
  execFileSync('gpg', [...words, '--detach-sign', file], {
    env: environment,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  return signature;
}

function main(): void {
  const [flavor] = process.argv.slice(2);
  if (flavor === undefined) throw new Error('usage: sign.ts FLAVOUR, for dist/stage1-FLAVOUR.aci');
  const signature = signImage(path.join(distDir, `stage1-${flavor}.aci`));
  if (signature !== undefined)
    console.log(`${path.relative(workspaceRoot, signature)}: by ${process.env[SIGNING_KEY]}`);
}

if (import.meta.main) await runTool('sign', main);
