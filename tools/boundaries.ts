// Guards the arrows between packages: who imports whom, by the tags in each package.json. Runs as a mocha test
// (boundaries.test.ts), and alone: `npx node --conditions=@rkt/source tools/boundaries.ts`.
import fs from 'node:fs';
import path from 'node:path';
import {
  listFiles,
  readJson,
  runTool,
  workspacePackages,
  workspaceRoot,
  type WorkspacePackage,
} from './workspace.ts';

/** Layer -> layers that it may import. A stage imports no stage; stages meet on disk only. */
const LAYERS: Readonly<Record<string, readonly string[]>> = {
  'layer:base': ['layer:base'],
  'layer:contract': ['layer:contract', 'layer:base'],
  'layer:service': ['layer:contract', 'layer:base'],
  'layer:stage1-shared': ['layer:stage1-shared', 'layer:service', 'layer:contract', 'layer:base'],
  'layer:stage': ['layer:stage1-shared', 'layer:service', 'layer:contract', 'layer:base'],
  'layer:test': ['layer:contract', 'layer:base'],
  'layer:e2e': ['layer:test', 'layer:contract', 'layer:base'],
};

/** What the layers alone would allow and the house does not: code shared by stage1 flavours is not stage0's. */
const FORBIDDEN: readonly { readonly from: string; readonly to: string }[] = [
  { from: 'stage:0', to: 'layer:stage1-shared' },
  { from: 'stage:0', to: 'layer:service' },
];

/** Contract packages are pure: names, types, parsers. */
const IO_MODULES: ReadonlySet<string> = new Set(
  [
    'fs',
    'fs/promises',
    'child_process',
    'net',
    'http',
    'https',
    'http2',
    'dgram',
    'tls',
    'sqlite',
    'ffi',
    'worker_threads',
  ].map((name) => `node:${name}`),
);

const MAX_LINES = 450;
/** A suite is a list of cases, which nobody reads from end to end. */
const MAX_TEST_LINES = 750;
/** Tables of a standard, which read worse in pieces. */
const TABLES: ReadonlySet<string> = new Set(['packages/stage1-base/src/seccomp-sets.ts']);

/**
 * Names on disk, in the environment and in manifests that only pod-layout spells; as string literals, or as whole
 * path elements in one. Words that mean other things too (`pod`, `overlay`, `manifest`, `pid`) are not listed.
 */
const LAYOUT_NAMES: readonly string[] = [
  'appsinfo',
  'mds-registered',
  'mds-registration',
  'metadata-svc.sock',
  'net-info.json',
  'overlay-prepared',
  'pod-created',
  'pod.lck',
  'pgid',
  'ppid',
  'private-users-prepared',
  'runtime-config',
  'sharedVolumes',
  'stage1TreeStoreID',
  'subcgroup',
  'supervisor-status',
  'treeStoreID',
  'RKT_LOCK_FD',
  'RKT_STAGE1_ENTERCMD',
  'RKT_STAGE1_ENTERPID',
  'coreos.com/rkt/stage1/',
  'coreos.com/rkt/stage2/',
];

interface Import {
  readonly specifier: string;
  readonly typeOnly: boolean;
}

const isTest = (file: string): boolean => file.endsWith('.test.ts') || file.includes('/testing/');

/** Blanks out comments, so that an import shown in one does not count; strings stay. */
function withoutComments(text: string): string {
  return text.replace(/(^|[^:'"`\\])\/\/[^\n]*|\/\*[\s\S]*?\*\//g, '$1');
}

function importsOf(text: string): Import[] {
  const code = withoutComments(text);
  const statements = code.matchAll(/^\s*(?:import|export)(\s+type)?\b[^;'"]*?\bfrom\s*['"]([^'"]+)['"]/gm);
  const bare = code.matchAll(/^\s*import\s*()['"]([^'"]+)['"]/gm);
  const dynamic = code.matchAll(/\bimport\(()\s*['"]([^'"]+)['"]/g);
  return [...statements, ...bare, ...dynamic].map((match) => ({
    specifier: match[2] ?? '',
    typeOnly: (match[1] ?? '') !== '',
  }));
}

/** `@scope/name/sub/path` -> `@scope/name`; `name/sub` -> `name`. */
function packageOf(specifier: string): string {
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
}

function tagOf(owner: WorkspacePackage, prefix: string): string | undefined {
  return owner.tags.find((tag) => tag.startsWith(prefix));
}

function mayImport(from: WorkspacePackage, to: WorkspacePackage, test: boolean): boolean {
  const target = tagOf(to, 'layer:') ?? '';
  if (target === 'layer:test') return test || tagOf(from, 'layer:') === 'layer:e2e';
  if (!(LAYERS[tagOf(from, 'layer:') ?? ''] ?? []).includes(target)) return false;
  return !FORBIDDEN.some((rule) => from.tags.includes(rule.from) && to.tags.includes(rule.to));
}

function checkImport(
  file: string,
  owner: WorkspacePackage,
  imported: Import,
  packages: ReadonlyMap<string, WorkspacePackage>,
): string | undefined {
  const { specifier } = imported;
  const contract = owner.tags.includes('layer:contract');
  if (specifier.startsWith('.')) {
    const target = path.join(path.dirname(file), specifier);
    return target.startsWith(`${owner.directory}/`) ? undefined : `${file}: imports ${target} by its path`;
  }
  if (specifier.startsWith('node:')) {
    if (specifier === 'node:ffi' && owner.name !== '@rkt/linux')
      return `${file}: only @rkt/linux may import node:ffi`;
    if (contract && !isTest(file) && IO_MODULES.has(specifier)) {
      return `${file}: ${owner.name} does no I/O and may not import ${specifier}`;
    }
    return undefined;
  }
  const name = packageOf(specifier);
  const target = packages.get(name);
  if (target !== undefined && target !== owner && !mayImport(owner, target, isTest(file))) {
    return `${file}: ${owner.name} may not import ${name}`;
  }
  // The test runner's own libraries are the root's; everything else a package declares itself.
  if (isTest(file) && (target?.tags.includes('layer:test') === true || target === undefined))
    return undefined;
  if (name === owner.name || owner.dependencies.includes(name)) return undefined;
  return `${file}: ${owner.name} imports ${name} without declaring it in package.json`;
}

function checkLiterals(file: string, text: string): string[] {
  const literals = [...withoutComments(text).matchAll(/'([^'\n]*)'|"([^"\n]*)"|`([^`]*)`/g)];
  const isModule = (literal: string): boolean => /^(@rkt\/|\.\.?\/)/.test(literal);
  const spelled = (literal: string, name: string): boolean =>
    !isModule(literal) &&
    (name.endsWith('/') ? literal.startsWith(name) : literal.split(/[/=]/).includes(name));
  const values = literals.map((match) => match[1] ?? match[2] ?? match[3] ?? '');
  return LAYOUT_NAMES.filter((name) => values.some((value) => spelled(value, name))).map(
    (name) => `${file}: spells '${name}', which is pod-layout's to name`,
  );
}

function checkReferences(
  root: string,
  owner: WorkspacePackage,
  packages: ReadonlyMap<string, WorkspacePackage>,
): string[] {
  const file = path.join(owner.directory, 'tsconfig.json');
  if (!fs.existsSync(path.join(root, file))) return [`${file}: no such file`];
  const config = readJson<{ references?: { path: string }[] }>(path.join(root, file));
  const directories = (config.references ?? []).map((reference) =>
    path.join(owner.directory, reference.path),
  );
  const byDirectory = new Map([...packages.values()].map((each) => [each.directory, each]));
  const referenced = directories.map((directory) => byDirectory.get(directory)?.name ?? directory);
  const declared = owner.dependencies.filter((name) => packages.has(name));
  // Tests use testkit, which no package depends on.
  const optional = (name: string): boolean => packages.get(name)?.tags.includes('layer:test') === true;
  return [
    ...declared
      .filter((name) => !referenced.includes(name))
      .map((name) => `${file}: no reference to ${name}`),
    ...referenced
      .filter((name) => !declared.includes(name) && !optional(name))
      .map((name) => `${file}: references ${name}, which package.json does not declare`),
  ];
}

/** Every broken rule of the workspace at `root`, one line each; empty when the house stands. */
export function checkBoundaries(root: string = workspaceRoot): string[] {
  const packages = new Map(workspacePackages(root).map((each) => [each.name, each]));
  const found: string[] = [];
  for (const owner of packages.values()) {
    found.push(...checkReferences(root, owner, packages));
    if (tagOf(owner, 'layer:') === undefined) found.push(`${owner.directory}/package.json: no layer tag`);
    for (const absolute of listFiles(path.join(root, owner.directory), (name) => name.endsWith('.ts'))) {
      const file = path.relative(root, absolute);
      const text = fs.readFileSync(absolute, 'utf8');
      const lines = text.split('\n').length - 1;
      const most = isTest(file) ? MAX_TEST_LINES : MAX_LINES;
      if (lines > most && !TABLES.has(file)) found.push(`${file}: ${lines} lines, at most ${most}`);
      if (/\bnumRuns: \d/.test(text)) {
        found.push(
          `${file}: numRuns is a number: take runs(N) of @rkt/property-runs/runs, which npm run fuzz raises`,
        );
      }
      for (const imported of importsOf(text)) {
        const problem = checkImport(file, owner, imported, packages);
        if (problem !== undefined) found.push(problem);
      }
      const namesLayout = owner.name === '@rkt/pod-layout' || owner.tags.includes('layer:test');
      if (!namesLayout && !isTest(file) && owner.directory !== 'e2e')
        found.push(...checkLiterals(file, text));
    }
  }
  return [...new Set(found)].sort();
}

function main(): void {
  const problems = checkBoundaries();
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) throw new Error(`${problems.length} broken`);
  console.log(`boundaries: ${workspacePackages().length} packages, nothing broken`);
}

if (import.meta.main) await runTool('boundaries', main);
