// Manual pages, written from the declarations of commands and flags in the man(7) language. Used when rkt is built.

import type { CommandSpec } from './command.ts';
import { COMMAND_TREE, type CommandNode } from './command-tree.ts';
import type { Flag, FlagTable } from './flag.ts';
import { GLOBAL_FLAGS } from './flags/global.ts';
import { valueText } from './help.ts';

/** A file of section 1. */
export interface ManPage {
  /** E.g. `rkt-image-list.1`. */
  readonly name: string;
  readonly content: string;
}

/** What stands at the foot of every page. */
export interface ManPageOptions {
  readonly version: string;
  /** `YYYY-MM-DD` */
  readonly date: string;
}

/** One page for rkt and one for each command and group that help shows. */
export async function manPages(options: ManPageOptions): Promise<ManPage[]> {
  return pagesBelow(COMMAND_TREE, [], options);
}

async function pagesBelow(
  node: CommandNode,
  path: readonly string[],
  options: ManPageOptions,
): Promise<ManPage[]> {
  const pages = [await pageOf(node, path, options)];
  for (const child of visible(node)) pages.push(...(await pagesBelow(child, [...path, child.name], options)));
  return pages;
}

async function pageOf(
  node: CommandNode,
  path: readonly string[],
  { version, date }: ManPageOptions,
): Promise<ManPage> {
  const spec = await node.spec?.();
  const name = ['rkt', ...path].join('-');
  const sections = [
    section('NAME', `${roff(name)} \\- ${roff(node.summary)}`),
    section('SYNOPSIS', ...synopsis(path, spec)),
    section('DESCRIPTION', ...paragraphs(spec?.description ?? [`${node.summary}.`])),
    section('COMMANDS', ...visible(node).flatMap((child) => commandEntry(child, path))),
    section('OPTIONS', ...(spec === undefined ? [] : flagEntries(spec.flags))),
    section('OPTIONS OF AN IMAGE', ...(spec === undefined ? [] : flagEntries(spec.imageFlags))),
    path.length === 0
      ? section('GLOBAL OPTIONS', ...flagEntries(GLOBAL_FLAGS))
      : section('GLOBAL OPTIONS', 'Those of', '.BR rkt (1)', 'may stand before or behind the command.'),
    section('EXIT STATUS', ...exitStatus(spec)),
    section('FILES', ...(path.length === 0 ? FILES.flatMap(([file, text]) => entry(bold(file), text)) : [])),
    section('EXAMPLES', ...examples(spec)),
    section('SEE ALSO', ...seeAlso(node, path)),
  ];
  const head = `.TH ${name.toUpperCase().replaceAll('-', '\\-')} 1 "${date}" "rkt ${version}" "rkt"`;
  return { name: `${name}.1`, content: `${[head, ...sections.filter((text) => text !== '')].join('\n')}\n` };
}

const FILES: readonly (readonly [file: string, text: string])[] = [
  ['/var/lib/rkt', 'Images and pods, unless --dir or the configuration says otherwise.'],
  ['/usr/lib/rkt', 'Configuration of the distribution.'],
  ['/etc/rkt', 'Configuration of this machine; it counts more.'],
];

function visible(node: CommandNode): CommandNode[] {
  return (node.children ?? []).filter(({ hidden }) => hidden !== true);
}

// An empty section is none.
function section(title: string, ...lines: readonly string[]): string {
  return lines.length === 0 ? '' : [`.SH ${title}`, ...lines].join('\n');
}

function synopsis(path: readonly string[], spec: CommandSpec | undefined): string[] {
  const usage = spec?.usage ?? [[...path, '[command]'].join(' ')];
  return usage.flatMap((line, index) => [...(index === 0 ? [] : ['.br']), roff(`rkt ${line}`)]);
}

function paragraphs(texts: readonly string[]): string[] {
  return texts.flatMap((text, index) => [...(index === 0 ? [] : ['.PP']), roff(text)]);
}

function commandEntry(child: CommandNode, path: readonly string[]): string[] {
  return entry(`.BR ${roff(['rkt', ...path, child.name].join('-'))} (1)`, child.summary);
}

function flagEntries(table: FlagTable): string[] {
  return Object.entries(table)
    .filter(([, { hidden, deprecated }]) => hidden !== true && deprecated === undefined)
    .flatMap(([name, flag]) => flagEntry(name, flag));
}

function flagEntry(name: string, flag: Flag<unknown>): string[] {
  const words = flag.complete === undefined || typeof flag.complete === 'string' ? [] : flag.complete;
  const isBoolean = flag.type === 'boolean';
  const values = words.length === 0 || isBoolean ? '' : ` Values: ${words.join(', ')}.`;
  const repeated = flag.array === true ? ' May be given several times.' : '';
  return entry(bold(`--${name}${valueText(flag)}`), `${flag.describe}.${values}${repeated}`);
}

function entry(tag: string, text: string): string[] {
  return ['.TP', tag, roff(text)];
}

// In quotes a word may hold blanks; a quote itself is a character by name.
const bold = (text: string): string => `.B "${roff(text)}"`;

function exitStatus(spec: CommandSpec | undefined): string[] {
  if (spec === undefined) return [];
  if (spec.grammar === 'first-word')
    return [roff('That of the command, or 254 when it could not be started.')];
  if (Object.hasOwn(spec.flags, 'net')) {
    return [roff('That of the pod: of the first app that failed, or 0. 254 when it could not be started.')];
  }
  return [roff('0, or 254 when something went wrong; what it was is said on stderr.')];
}

function examples(spec: CommandSpec | undefined): string[] {
  return (spec?.examples ?? []).flatMap(([line, purpose]) => [
    '.TP',
    roff(purpose),
    '.nf',
    bold(`rkt ${line}`),
    '.fi',
  ]);
}

function seeAlso(node: CommandNode, path: readonly string[]): string[] {
  const parents = path.map((_, index) => ['rkt', ...path.slice(0, index)].join('-'));
  const children = visible(node).map(({ name }) => ['rkt', ...path, name].join('-'));
  const names = [...parents.toReversed(), ...(path.length === 0 ? [] : children)];
  return names.map((name, index) => `.BR ${roff(name)} (1)${index < names.length - 1 ? ',' : ''}`);
}

const SPECIAL: Readonly<Record<string, string>> = {
  '\\': '\\e',
  '-': '\\-',
  '"': '\\(dq',
  "'": '\\(aq',
  '`': '\\(ga',
  '~': '\\(ti',
  '^': '\\(ha',
};

/** Text for roff: no character is an instruction, and all can be copied. */
export function roff(text: string): string {
  const escaped = text.replaceAll(/[\\\-"'`~^]/g, (sign) => SPECIAL[sign] ?? sign);
  return escaped.replaceAll(/^\./gm, '\\&.');
}
