// What completion scripts know: commands, flags and kinds of words, as they are declared. Runs in stage0.

import { type CommandSpec, takesImages, type WordKind } from '../command.ts';
import { COMMAND_TREE, type CommandNode } from '../command-tree.ts';
import type { Flag, FlagTable } from '../flag.ts';
import { GLOBAL_FLAGS } from '../flags/global.ts';

/** A word with what it means. */
export interface Described {
  readonly word: string;
  readonly meaning: string;
}

/** Pairs of a command's path, e.g. `image list`, and what is known of it. */
type ByCommand<T> = readonly (readonly [path: string, T])[];

export interface CompletionTables {
  /** Groups, rkt itself being '', and the commands below each. */
  readonly commands: ByCommand<readonly Described[]>;
  /** Flags of each command; one that needs a value ends in =, so that the cursor stays behind it. */
  readonly flags: ByCommand<readonly Described[]>;
  readonly globalFlags: readonly Described[];
  readonly wordKinds: ByCommand<readonly WordKind[]>;
  /** Flags whose values can be offered: words, or one of @file and @directory. */
  readonly values: readonly (readonly [flag: string, readonly string[]])[];
  /** Flags that take the next word. */
  readonly takingValues: readonly string[];
  /** Commands whose words are images with arguments behind --. */
  readonly takingImages: readonly string[];
}

interface Leaf {
  readonly name: string;
  readonly spec: CommandSpec;
}

/** The tables of all commands that help shows. */
export async function completionTables(): Promise<CompletionTables> {
  const leaves = await leavesBelow(COMMAND_TREE, '');
  const flags = new Map<string, Flag<unknown>>();
  for (const { spec } of leaves) {
    for (const [name, flag] of visibleFlags(GLOBAL_FLAGS, spec.flags, spec.imageFlags)) flags.set(name, flag);
  }
  return {
    commands: [...groups(COMMAND_TREE, '')],
    flags: leaves.map(({ name, spec }) => [
      name,
      flagWords(visibleFlags(spec.flags, spec.imageFlags, GLOBAL_FLAGS)),
    ]),
    globalFlags: flagWords(visibleFlags(GLOBAL_FLAGS)),
    wordKinds: leaves.map(({ name, spec }) => [name, spec.words]),
    values: [...flags]
      .filter(([, flag]) => flag.complete !== undefined)
      .map(([name, flag]) => [name, valueWords(flag)]),
    takingValues: [...flags].filter(([, flag]) => flag.bare === undefined).map(([name]) => name),
    takingImages: leaves.filter(({ spec }) => takesImages(spec.grammar)).map(({ name }) => name),
  };
}

async function leavesBelow(node: CommandNode, path: string): Promise<Leaf[]> {
  const leaves: Leaf[] = [];
  for (const child of node.children ?? []) {
    if (child.hidden === true) continue;
    const name = path === '' ? child.name : `${path} ${child.name}`;
    const spec = await child.spec?.();
    if (spec !== undefined) leaves.push({ name, spec });
    leaves.push(...(await leavesBelow(child, name)));
  }
  return leaves;
}

function* groups(node: CommandNode, path: string): Generator<[string, Described[]]> {
  const children = (node.children ?? []).filter(({ hidden }) => hidden !== true);
  if (children.length === 0) return;
  yield [path, children.map(({ name, summary }) => ({ word: name, meaning: summary }))];
  for (const child of children) yield* groups(child, child.name);
}

function visibleFlags(...tables: readonly FlagTable[]): [string, Flag<unknown>][] {
  return tables
    .flatMap((table) => Object.entries(table))
    .filter(([, { hidden, deprecated }]) => hidden !== true && deprecated === undefined);
}

function flagWords(flags: readonly (readonly [string, Flag<unknown>])[]): Described[] {
  const words = new Map(
    flags.map(([name, { bare, describe }]) => [`--${name}${bare === undefined ? '=' : ''}`, describe]),
  );
  words.set('--help', 'Show this help');
  return [...words].map(([word, meaning]) => ({ word, meaning }));
}

function valueWords({ complete = [] }: Flag<unknown>): readonly string[] {
  return typeof complete === 'string' ? [`@${complete}`] : complete;
}

/** Pods by what `rkt list` calls their state; the last may be several states. */
export const POD_STATES: Readonly<Partial<Record<WordKind, readonly string[]>>> = {
  pod: ['*'],
  'prepared-pod': ['prepared'],
  'running-pod': ['running'],
  'exited-pod': ['exited*'],
  'idle-pod': ['prepared', 'aborted prepare', 'exited*'],
};

/** Shells that completion is there for. */
export const SHELLS = ['bash', 'fish', 'zsh'] as const;
