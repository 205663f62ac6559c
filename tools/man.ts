// Writes the manual pages of rkt: dist/man/*.1, from the declarations of commands. Runs at build time, with rkt's build.
import fs from 'node:fs';
import path from 'node:path';
import { manPages } from '@rkt/stage0/cli/man-page';
import { sourceDate } from './build-stage1/aci.ts';
import { productVersion } from './workspace.ts';

/** Writes all pages into `directory`, in place of those that are there. */
export async function writeManPages(directory: string): Promise<void> {
  fs.rmSync(directory, { recursive: true, force: true });
  fs.mkdirSync(directory, { recursive: true });
  const date = sourceDate().toISOString().slice(0, 10);
  for (const { name, content } of await manPages({ version: productVersion(), date })) {
    fs.writeFileSync(path.join(directory, name), content);
  }
}
