// Which command a command line means; flags may stand before and after it (contract stage0 1.2). Pure.

import type { CommandNode } from './command-tree.ts';
import { findFlag, type FlagTable } from './flag.ts';

/** The command found: words of its name below `rkt`, its node, and argv without those words. */
export interface FoundCommand {
  readonly path: readonly string[];
  readonly node: CommandNode;
  readonly rest: readonly string[];
}

/** No, or more than one, command of that name in `parent`. */
export interface UnknownCommand {
  readonly unknown: string;
  readonly parentPath: readonly string[];
  readonly parent: CommandNode;
  /** Commands the word is a prefix of. */
  readonly matches: readonly string[];
}

/**
 * Finds the command of `argv` below `root`. Only flags that every command takes are known before it is found;
 * any other `--flag` without `=` is taken to have its value in the next token.
 */
export function findCommand(
  root: CommandNode,
  argv: readonly string[],
  flags: FlagTable,
): FoundCommand | UnknownCommand {
  const path: string[] = [];
  let node = root;
  let rest = argv;
  while (node.children !== undefined) {
    const at = firstWord(rest, flags);
    if (at === undefined) break;
    const word = rest[at] ?? '';
    const matches = node.children.filter((child) => child.name.startsWith(word));
    const child =
      matches.find(({ name }) => name === word) ?? (matches.length === 1 ? matches[0] : undefined);
    if (child === undefined) {
      const names = matches.filter(({ hidden }) => hidden !== true).map(({ name }) => name);
      return { unknown: word, parent: node, parentPath: path, matches: names };
    }
    path.push(child.name);
    node = child;
    rest = rest.toSpliced(at, 1);
  }
  return { path, node, rest };
}

// A caller that does not run a shell may pass literal quotes: "a b" in several tokens is one region without words.
function firstWord(argv: readonly string[], flags: FlagTable): number | undefined {
  let inQuotes = false;
  let valueFollows = false;
  for (const [index, token] of argv.entries()) {
    if (!inQuotes) {
      if (token.startsWith('"') || token.includes('="')) inQuotes = true;
      else if (token.startsWith('--') && !token.includes('='))
        valueFollows = !takesNoValue(token.slice(2), flags);
      else if (/^-[^=]$/.test(token)) valueFollows = token !== '-h';
      else if (valueFollows) valueFollows = false;
      else if (token !== '' && !token.startsWith('-')) return index;
    }
    if (token.endsWith('"') && !token.endsWith('\\"')) inQuotes = false;
  }
  return undefined;
}

function takesNoValue(name: string, flags: FlagTable): boolean {
  return name === 'help' || findFlag(flags, name)?.bare !== undefined;
}
