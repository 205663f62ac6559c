// Names for the functions of a bundle that survive the next bundle, and the list of those that commands really call.
// Runs at build time, and in `npm run profile`, which makes the list.
import fs from 'node:fs';
import { SourceMap, type SourceMapPayload } from 'node:module';
import path from 'node:path';
import { parse, type Node } from 'acorn';
import { readJson, workspaceRoot } from '../workspace.ts';

/** A function of a bundle. Offsets are in UTF-16 units from the start of the bundle's text. */
export interface BundledFunction {
  readonly start: number;
  readonly end: number;
  /** `module#outer/inner`, with nothing for a function without a name; not unique. */
  readonly key: string;
}

/** Executable to module to the names of its hot functions. */
export type HotFunctions = Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;

export const hotFunctionsFile: string = path.join(workspaceRoot, 'tools/code-cache/hot-functions.json');

type AnyNode = Node & Readonly<Record<string, unknown>>;

const isNode = (value: unknown): value is AnyNode =>
  typeof value === 'object' && value !== null && 'type' in value && 'start' in value;

function childrenOf(node: AnyNode): AnyNode[] {
  return Object.values(node).flatMap((value): AnyNode[] => {
    if (Array.isArray(value)) return value.filter(isNode);
    return isNode(value) ? [value] : [];
  });
}

/** The text of an identifier, a private name or a literal key. */
function nameOf(node: unknown): string {
  if (!isNode(node)) return '';
  if (node.type === 'MemberExpression') return nameOf(node['property']);
  const name = node['name'] ?? node['value'];
  // The bundler numbers names that meet; the number is not the function's.
  return typeof name === 'string' ? name.replace(/\d+$/, '') : '';
}

/** What a node calls the function or class that it holds. */
function nameGiven(node: AnyNode): string {
  switch (node.type) {
    case 'VariableDeclarator':
      return nameOf(node['id']);
    case 'AssignmentExpression':
      return nameOf(node['left']);
    case 'Property':
    case 'MethodDefinition':
    case 'PropertyDefinition':
      return nameOf(node['key']);
    default:
      return '';
  }
}

const FUNCTIONS: ReadonlySet<string> = new Set([
  'FunctionDeclaration',
  'FunctionExpression',
  'ArrowFunctionExpression',
]);
const CLASSES: ReadonlySet<string> = new Set(['ClassDeclaration', 'ClassExpression']);

/** Every function of `script`, a bundle whose source map lies beside it as `script`.map. */
export function listFunctions(script: string): BundledFunction[] {
  const text = fs.readFileSync(script, 'utf8');
  const lineStarts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lineStarts.push(at + 1);
  const map = new SourceMap(readJson<SourceMapPayload>(`${script}.map`));
  const moduleAt = (offset: number): string => {
    let line = lineStarts.findLastIndex((start) => start <= offset);
    if (line < 0) line = 0;
    const entry = map.findEntry(line, offset - (lineStarts[line] ?? 0));
    if (!('originalSource' in entry) || typeof entry.originalSource !== 'string') return '';
    return path.relative(workspaceRoot, path.resolve(path.dirname(script), entry.originalSource));
  };
  const found: BundledFunction[] = [];
  const visit = (node: AnyNode, outer: string, given: string): void => {
    let inner = outer;
    let hint = nameGiven(node);
    if (FUNCTIONS.has(node.type) || CLASSES.has(node.type)) {
      const name = nameOf(node['id']) || given;
      inner = outer === '' ? name : `${outer}/${name}`;
      hint = '';
      // The wrapper of a module is called by the module's path.
      const module = name.includes('/') ? name : moduleAt(node.start);
      if (FUNCTIONS.has(node.type))
        found.push({ start: node.start, end: node.end, key: `${module}#${inner}` });
    }
    for (const child of childrenOf(node)) visit(child, inner, hint);
  };
  visit(parse(text, { ecmaVersion: 'latest', allowHashBang: true }) as unknown as AnyNode, '', '');
  return found;
}

/** The functions of `script` that the list names for `executable`. */
export function hotFunctionsOf(script: string, executable: string, list: HotFunctions): BundledFunction[] {
  const modules = list[executable] ?? {};
  const hot = new Set(
    Object.entries(modules).flatMap(([module, names]) => names.map((name) => `${module}#${name}`)),
  );
  return listFunctions(script).filter(({ key }) => hot.has(key));
}
