// What the user reads when a command line makes no sense; loaded only then. Runs in stage0.

import { quote } from '@rkt/diagnostics/quote';

import { COMMAND_TREE, type CommandNode } from './command-tree.ts';
import type { UnknownCommand } from './find-command.ts';
import { GLOBAL_FLAGS } from './flags/global.ts';

/** Lines for stderr about a word that is no command; ends in a newline. */
export async function unknownCommandText({
  unknown,
  parentPath,
  parent,
  matches,
}: UnknownCommand): Promise<string> {
  const { suggest } = await import('./suggest.ts');
  const names = (parent.children ?? []).filter(({ hidden }) => hidden !== true).map(({ name }) => name);
  const suggestions = matches.length > 0 ? matches : suggest(unknown, names);
  const command = ['rkt', ...parentPath].join(' ');
  return [
    `Error: unknown command ${quote(unknown)} for ${quote(command)}`,
    ...(suggestions.length === 0
      ? []
      : ['', 'Did you mean this?', ...suggestions.map((suggestion) => `\t${suggestion}`), '']),
    `Run '${command} --help' for usage.`,
    '',
  ].join('\n');
}

/** Lines for stderr about a flag that is unknown or has a bad value; ends in a newline. */
export async function badFlagText(
  error: unknown,
  path: readonly string[],
  tokens: readonly string[],
): Promise<string> {
  const message = (error as Error).message;
  const unknown = /^unknown flag: --(.*)$/s.exec(message)?.[1];
  const lines = [`Error: ${message}`];
  if (unknown !== undefined) {
    if (unknown === 'version' && tokens.length === 1) lines.push("Did you mean 'rkt version'?");
    else {
      const { suggest } = await import('./suggest.ts');
      const [best] = suggest(unknown, await flagNames(path));
      if (best !== undefined) lines.push(`Did you mean --${best}?`);
    }
  }
  return `${lines.join('\n')}\n`;
}

/** The usage lines of a command for stdout, and an empty line (contract stage0 1.3). */
export async function usageText(path: readonly string[]): Promise<string> {
  const node = nodeAt(path);
  const spec = await node.spec?.();
  const usage = spec?.usage ?? [[...path, '[command]'].join(' ')];
  const name = ['rkt', ...path].join(' ');
  return [
    'USAGE:',
    ...usage.map((line) => `\trkt ${line}`),
    '',
    `Run '${name} --help' for all flags.`,
    '',
    '',
  ].join('\n');
}

/** The node of a path that was found before. */
export function nodeAt(path: readonly string[]): CommandNode {
  let node = COMMAND_TREE;
  for (const word of path) {
    const child = node.children?.find(({ name }) => name === word);
    if (child === undefined) throw new TypeError(`no command ${path.join(' ')}`);
    node = child;
  }
  return node;
}

async function flagNames(path: readonly string[]): Promise<string[]> {
  const spec = await nodeAt(path).spec?.();
  const tables = [GLOBAL_FLAGS, spec?.flags ?? {}, spec?.imageFlags ?? {}];
  const visible = tables.flatMap((table) => Object.entries(table)).filter(([, flag]) => flag.hidden !== true);
  return [...new Set(visible.map(([name]) => name)), 'help'];
}
