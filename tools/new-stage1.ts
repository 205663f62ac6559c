// `npm run new-stage1 -- NAME`: packages/stage1-NAME, a stage1 of one's own that starts as a copy of the example
// (docs/stage1-guide.md). Runs on the developer's machine.
import fs from 'node:fs';
import path from 'node:path';
import { runTool, workspaceRoot } from './workspace.ts';

const NAME = /^[a-z][a-z0-9-]*$/;

/** Copies the example of the repository at `root`; gives the new directory. Throws when there is one of that name. */
export function newStage1(name: string, root: string = workspaceRoot): string {
  if (!NAME.test(name)) throw new Error(`${name}: a name is small letters, digits and dashes`);
  const directory = path.join(root, `packages/stage1-${name}`);
  if (fs.existsSync(directory)) throw new Error(`${directory} exists`);
  const example = path.join(root, 'packages/stage1-example');
  fs.cpSync(example, directory, {
    recursive: true,
    filter: (file) => path.relative(example, file).split(path.sep)[0] !== 'dist',
  });
  const renamed = (text: string): string =>
    text
      .replaceAll('stage1-example', `stage1-${name}`)
      .replaceAll(/\b(build|sign)\.ts example\b/g, `$1.ts ${name}`)
      .replace('"name": "example"', `"name": "${name}"`);
  for (const file of ['package.json', 'aci/manifest.json', 'abilities.json']) {
    const target = path.join(directory, file);
    fs.writeFileSync(target, renamed(fs.readFileSync(target, 'utf8')));
  }
  const projects = path.join(root, 'tsconfig.json');
  const ours = '    { "path": "packages/stage1-example" },\n';
  const text = fs.readFileSync(projects, 'utf8');
  fs.writeFileSync(projects, text.replace(ours, `${ours}${ours.replace('example', name)}`));
  return directory;
}

function main(): void {
  const [name] = process.argv.slice(2);
  if (name === undefined) throw new Error('usage: npm run new-stage1 -- NAME');
  const directory = path.relative(workspaceRoot, newStage1(name));
  console.log(`${directory}: now run \`npm install\`, then \`npx nx run stage1-${name}:build\``);
}

if (import.meta.main) await runTool('new-stage1', main);
