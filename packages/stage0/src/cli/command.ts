// How a command is declared: its words for people, its flags, and how flags become a request. Runs in stage0.

import type { FlagTable, FlagValues } from './flag.ts';
import type { AppRequest, Invocation } from './requests.ts';

/** What a command does with words that are no flags. */
export type Grammar =
  /** Flags and words in any order. */
  | 'mixed'
  /** The first word ends the flags: what follows belongs to somebody else's command. */
  | 'first-word'
  /** Images with their own flags and arguments (contract stage0 1.4). */
  | 'images'
  /** A word first, then images (contract stage0 8.20, `app add`). */
  | 'word-and-images';

/** Whether a command line of this form names images. */
export function takesImages(grammar: Grammar): boolean {
  return grammar === 'images' || grammar === 'word-and-images';
}

/** What a word means, for shell completion. */
export type WordKind =
  | 'image'
  /** An image of the store, or a file. */
  | 'image-or-file'
  | 'file'
  | 'directory'
  | 'command'
  /** A program of the system. */
  | 'program'
  | 'shell'
  | 'pod'
  | 'prepared-pod'
  | 'running-pod'
  | 'exited-pod'
  /** A pod that does not run. */
  | 'idle-pod';

/** A command ready to be parsed and run. Made by {@link command}. */
export interface CommandSpec {
  /** Usage lines without `rkt`. */
  readonly usage: readonly string[];
  /** Paragraphs for people. */
  readonly description: readonly string[];
  /** Command lines with a word on what they do. */
  readonly examples: readonly (readonly [line: string, purpose: string])[];
  readonly grammar: Grammar;
  /** What the words of the command are, in order; the last kind counts for all that follow. */
  readonly words: readonly WordKind[];
  /** Must the effective user be root? (contract stage0 1.1) */
  readonly needsRoot: boolean;
  readonly flags: FlagTable;
  /** Flags that belong to the last image named; only with grammar `images`. */
  readonly imageFlags: FlagTable;
  /** For `fetch`, which has no arguments to give to an app. */
  readonly refuseAppArguments: boolean;
  /** What reading the images is called in errors (contract stage0 1.4). */
  readonly imageContext: string;
  build(values: Readonly<Record<string, unknown>>, env: Invocation<unknown>['env']): unknown;
  buildImage(image: string, args: readonly string[], values: Readonly<Record<string, unknown>>): AppRequest;
  /** A check over all images, after the last. */
  checkImages(flags: unknown, apps: readonly AppRequest[]): void;
  /** Whether this many words make sense; if not, the usage is all the user gets. */
  acceptsWords(words: readonly string[], flags: unknown): boolean;
  load(): Promise<CommandModule<never>>;
}

/** A file of src/commands. */
export interface CommandModule<Request> {
  run(invocation: Invocation<Request>): Promise<number>;
}

/** What {@link command} takes: F are the flags, I the flags of one image, Request what the command gets. */
export interface CommandDeclaration<F extends FlagTable, I extends FlagTable, Request> {
  readonly usage: readonly string[];
  readonly description: readonly string[];
  readonly examples?: CommandSpec['examples'];
  readonly grammar?: Grammar;
  readonly words?: readonly WordKind[];
  readonly needsRoot?: boolean;
  readonly flags: F;
  readonly imageFlags?: I;
  readonly refuseAppArguments?: boolean;
  readonly imageContext?: string;
  build(values: FlagValues<F>, env: Invocation<unknown>['env']): Request;
  buildImage?(image: string, args: readonly string[], values: FlagValues<I>): AppRequest;
  checkImages?(flags: Request, apps: readonly AppRequest[]): void;
  acceptsWords?(words: readonly string[], flags: Request): boolean;
  load(): Promise<CommandModule<Request>>;
}

/** Declares a command; the types of its flags are checked here and forgotten afterwards. */
export function command<const F extends FlagTable, const I extends FlagTable, Request>(
  declaration: CommandDeclaration<F, I, Request>,
): CommandSpec {
  const { build, buildImage, checkImages, acceptsWords } = declaration;
  return {
    usage: declaration.usage,
    description: declaration.description,
    examples: declaration.examples ?? [],
    grammar: declaration.grammar ?? 'mixed',
    words: declaration.words ?? [],
    needsRoot: declaration.needsRoot ?? false,
    flags: declaration.flags,
    imageFlags: declaration.imageFlags ?? {},
    refuseAppArguments: declaration.refuseAppArguments ?? false,
    imageContext: declaration.imageContext ?? '',
    build: (values, env) => build(values as FlagValues<F>, env),
    buildImage: (image, args, values) => {
      if (buildImage === undefined) throw new TypeError('this command takes no images');
      return buildImage(image, args, values as FlagValues<I>);
    },
    checkImages: (flags, apps) => checkImages?.(flags as Request, apps),
    acceptsWords: (words, flags) => acceptsWords?.(words, flags as Request) ?? true,
    load: () => declaration.load() as Promise<CommandModule<never>>,
  };
}
