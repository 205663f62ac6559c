// From the tokens after the command's name to an invocation: plain data, checked once. Runs in stage0.

import { type CommandSpec, takesImages } from './command.ts';
import { findFlag, type FlagTable } from './flag.ts';
import { buildGlobalFlags, GLOBAL_FLAGS } from './flags/global.ts';
import { CliError } from './errors.ts';
import {
  flagStore,
  loadSetters,
  parseFlags,
  storedValues,
  type FlagSession,
  type FlagStore,
} from './parse-flags.ts';
import { parseImages, type ImageWords } from './parse-images.ts';
import type { GlobalFlags, Invocation } from './requests.ts';

/** What the command line is read with. */
export interface ParseContext {
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: () => string;
  /** A line for the user that is no error, e.g. that a flag is deprecated. */
  note(line: string): void;
}

/** The flags up to the first image, or all of them; images and requests are read by {@link finishInvocation}. */
export interface ParsedFlags {
  readonly help: boolean;
  readonly global: GlobalFlags;
  readonly words: readonly string[];
  readonly pending: PendingImages;
}

interface PendingImages {
  readonly tokens: readonly string[];
  readonly next: number;
  readonly session: FlagSession;
  readonly own: FlagStore;
  readonly global: FlagStore;
  readonly images: ImageWords[];
  readonly imageFlags: FlagTable;
}

/**
 * Reads the flags of `spec` from `tokens`.
 * @throws CliError `bad-flag`
 */
export async function parseOwnFlags(
  spec: Pick<CommandSpec, 'flags' | 'imageFlags' | 'grammar'>,
  tokens: readonly string[],
  context: ParseContext,
): Promise<ParsedFlags> {
  const global = flagStore(GLOBAL_FLAGS);
  const own = flagStore(spec.flags);
  const { imageFlags } = spec;
  const images: ImageWords[] = [];
  const session: FlagSession = {
    owner: (name) => {
      const last = images.at(-1)?.flags;
      if (last !== undefined && findFlag(last.table, name) !== undefined) return last;
      if (findFlag(spec.flags, name) !== undefined) return own;
      if (findFlag(GLOBAL_FLAGS, name) !== undefined) return global;
      if (findFlag(imageFlags, name) !== undefined) return beforeImages;
      return undefined;
    },
    setters: await loadSetters(tokens, [GLOBAL_FLAGS, spec.flags, imageFlags]),
    cwd: context.cwd,
    note: (line) => context.note(line),
    help: false,
  };
  const beforeImages = flagStore(needingImage(imageFlags));
  const { words, next } = parseFlags(tokens, 0, session, spec.grammar === 'mixed' ? 'end' : 'first-word');
  return {
    help: session.help,
    global: buildGlobalFlags(storedValues(global)),
    words: spec.grammar === 'first-word' ? afterTerminator(tokens.slice(next)) : words,
    pending: { tokens, next, session, own, global, images, imageFlags },
  };
}

/**
 * Reads the images, if the command takes any, and builds the request.
 * @throws CliError `bad-image-arguments` with the error of the images as its cause.
 */
export function finishInvocation(
  spec: CommandSpec,
  command: string,
  parsed: ParsedFlags,
  context: ParseContext,
): { readonly invocation: Invocation<unknown>; readonly help: boolean } {
  const { tokens, next, session, own, global, images, imageFlags } = parsed.pending;
  const start = spec.grammar === 'word-and-images' ? next + 1 : next;
  const build = (): Invocation<unknown> => {
    const flags = spec.build(storedValues(own), context.env);
    const apps = images.map(({ image, args, flags: values }) =>
      spec.buildImage(image, args, storedValues(values)),
    );
    spec.checkImages(flags, apps);
    // Flags of every command may stand between and after images too.
    return {
      command,
      global: buildGlobalFlags(storedValues(global)),
      flags,
      args: [...parsed.words, ...tokens.slice(next, start)],
      apps,
      env: context.env,
    };
  };
  if (!takesImages(spec.grammar)) return { invocation: build(), help: session.help };
  try {
    parseImages(tokens, start, session, images, {
      table: imageFlags,
      refuseAppArguments: spec.refuseAppArguments,
    });
    return { invocation: build(), help: session.help };
  } catch (error) {
    throw new CliError('bad-image-arguments', spec.imageContext, { cause: error });
  }
}

// The words of `enter` start a command line of their own: `enter UUID -- CMD` means what it says.
function afterTerminator(tokens: readonly string[]): readonly string[] {
  if (tokens[0] === '--') return tokens.slice(1);
  return tokens[1] === '--' ? tokens.toSpliced(1, 1) : tokens;
}

// The flags of images, used before the first image: each says so instead of taking a value.
function needingImage(table: FlagTable): FlagTable {
  const refuse = (name: string): never => {
    throw new CliError('bad-value', `--${name} must follow an image`);
  };
  return Object.fromEntries(
    Object.entries(table).map(([name, { load: _load, ...flag }]) => [
      name,
      { ...flag, set: () => refuse(name) },
    ]),
  );
}
