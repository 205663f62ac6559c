// The tables as functions that bash and zsh both understand. Pure; runs in stage0.

import type { CompletionTables, Described } from './tables.ts';

/** Functions that print words for their argument, or succeed for some. */
export function shellFunctions(tables: CompletionTables): string {
  const { commands, flags, globalFlags, wordKinds, values, takingValues, takingImages } = tables;
  return [
    printing(
      '_rkt_commands',
      commands.map(([path, words]) => [quoted(path), joined(words)]),
    ),
    printing(
      '_rkt_flags',
      flags.map(([path, words]) => [quoted(path), joined(words)]),
      joined(globalFlags),
    ),
    printing(
      '_rkt_word_kinds',
      wordKinds.map(([path, kinds]) => [quoted(path), kinds.join(' ')]),
    ),
    printing(
      '_rkt_values',
      values.map(([flag, words]) => [flag, words.join(' ')]),
    ),
    succeeding('_rkt_takes_value', takingValues),
    succeeding('_rkt_takes_images', takingImages.map(quoted)),
  ].join('\n');
}

const quoted = (text: string): string => `'${text}'`;
const joined = (words: readonly Described[]): string => words.map(({ word }) => word).join(' ');

function printing(name: string, cases: readonly (readonly [string, string])[], otherwise?: string): string {
  const arms = cases
    .filter(([, words]) => words !== '')
    .map(([pattern, words]) => `    ${pattern}) echo '${words}' ;;`);
  if (otherwise !== undefined) arms.push(`    *) echo '${otherwise}' ;;`);
  return `${name}() {\n  case $1 in\n${arms.join('\n')}\n  esac\n}\n`;
}

function succeeding(name: string, patterns: readonly string[]): string {
  return `${name}() {\n  case $1 in\n    ${patterns.join(' | ')}) return 0 ;;\n  esac\n  return 1\n}\n`;
}
