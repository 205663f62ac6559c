// Help texts, printed by yargs from the declarations of commands and flags; loaded only when asked for.
// Runs in stage0.

import yargs, { type Argv } from 'yargs';

import { buildInfo } from '../build-info.ts';
import type { CommandSpec } from './command.ts';
import { nodeAt } from './usage-errors.ts';
import type { CommandNode } from './command-tree.ts';
import type { Flag, FlagTable } from './flag.ts';
import { GLOBAL_FLAGS } from './flags/global.ts';

/** Columns of a text for which no terminal is known, and the most that are easy to read. */
const DEFAULT_WIDTH = 80;
const MAXIMUM_WIDTH = 120;

const INDENT = '  ';

/** Help for the command at `path`, e.g. ['image', 'list']; ends in a newline. */
export async function helpText(
  path: readonly string[],
  columns: number | undefined = process.stdout.columns,
): Promise<string> {
  const node = nodeAt(path);
  const spec = await node.spec?.();
  const width = Math.min(columns ?? DEFAULT_WIDTH, MAXIMUM_WIDTH);
  const parser = yargs([])
    .scriptName(['rkt', ...path].join(' '))
    .detectLocale(false)
    .updateStrings({ 'Commands:': 'COMMANDS:' })
    .help(false)
    .version(false)
    .wrap(width);
  for (const [name, summary] of commandsBelow(node)) parser.command(name, summary);
  if (spec !== undefined) {
    addFlags(parser, 'OPTIONS:', spec.flags);
    addFlags(parser, 'OPTIONS OF AN IMAGE:', spec.imageFlags);
  }
  addFlags(parser, 'GLOBAL OPTIONS:', GLOBAL_FLAGS);
  parser.option('help', { alias: 'h', describe: 'Show this help' }).group('help', 'GLOBAL OPTIONS:');
  const printed = (await parser.getHelp()).trim();
  // Above the commands yargs puts a usage line of its own.
  const body = printed.slice(Math.max(0, printed.indexOf('COMMANDS:')));
  return `${[...header(path, node, spec, width), body, ...examples(spec)].join('\n\n')}\n`;
}

function header(
  path: readonly string[],
  node: CommandNode,
  spec: CommandSpec | undefined,
  width: number,
): string[] {
  const name = path.length === 0 ? 'rkt' : path.join(' ');
  const usage = spec?.usage ?? [[...path, '[command]'].join(' ')];
  const sections: (readonly [title: string, lines: readonly string[]])[] = [
    ['NAME:', [`${name} - ${node.summary}`]],
    ['USAGE:', usage.map((line) => `rkt ${line}`)],
    ...(path.length === 0 ? [['VERSION:', [buildInfo.version]] as const] : []),
    ...(spec === undefined ? [] : [['DESCRIPTION:', spec.description] as const]),
  ];
  return sections.map(([title, lines]) =>
    section(
      title,
      lines.flatMap((line) => wrapped(line, width - INDENT.length)),
    ),
  );
}

// Command lines are not broken, so that they can be copied.
function examples(spec: CommandSpec | undefined): string[] {
  if (spec === undefined || spec.examples.length === 0) return [];
  return [
    section(
      'EXAMPLES:',
      spec.examples.flatMap(([line, purpose]) => [`# ${purpose}`, `rkt ${line}`]),
    ),
  ];
}

function section(title: string, lines: readonly string[]): string {
  return [title, ...lines.map((line) => INDENT + line)].join('\n');
}

// Words filled into lines of at most `width` characters.
function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}

// Of a group, all commands below it, named from there.
function commandsBelow(node: CommandNode): (readonly [name: string, summary: string])[] {
  return (node.children ?? [])
    .filter(({ hidden }) => hidden !== true)
    .flatMap((child) =>
      child.children === undefined
        ? [[child.name, child.summary] as const]
        : commandsBelow(child).map(([name, summary]) => [`${child.name} ${name}`, summary] as const),
    );
}

function addFlags(parser: Argv, group: string, table: FlagTable): void {
  for (const [name, flag] of Object.entries(table)) {
    if (flag.hidden === true || flag.deprecated !== undefined) continue;
    const key = name + valueText(flag);
    parser.option(key, { describe: flag.describe + (flag.array === true ? ' (repeatable)' : '') });
    parser.group(key, group);
  }
}

/** What follows the name of a flag, e.g. `=FILE`, `=30m0s`, `="/etc/rkt"`, `[=false]` (contract stage0 1.9). */
export function valueText({
  bare,
  initial,
  defaultDescription,
  placeholder = '',
  type,
}: Flag<unknown>): string {
  const known =
    defaultDescription ?? (typeof initial === 'string' && initial !== '' ? `"${initial}"` : undefined);
  if (bare !== undefined) return `[=${known ?? String(initial)}]`;
  return type === 'string' ? `=${known ?? placeholder}` : '';
}
