// Images, each with its flags and the arguments of its app (contract stage0 1.4). Pure; runs in stage0.

import { CliError } from './errors.ts';
import { flagStore, parseFlags, type FlagSession, type FlagStore } from './parse-flags.ts';
import type { FlagTable } from './flag.ts';

/** One image as it stands on the command line. */
export interface ImageWords {
  readonly image: string;
  readonly args: string[];
  readonly flags: FlagStore;
}

/** Options of {@link parseImages}. */
export interface ImageGrammar {
  readonly table: FlagTable;
  readonly refuseAppArguments: boolean;
}

/**
 * Reads `tokens` from `start` on, the first token that is no flag. Images are pushed to `images` as they come, so
 * that the owner of a flag can be asked while reading.
 * @throws CliError `bad-image-arguments`, or `bad-flag` from a flag between images.
 */
export function parseImages(
  tokens: readonly string[],
  start: number,
  session: FlagSession,
  images: ImageWords[],
  { table, refuseAppArguments }: ImageGrammar,
): void {
  let last: ImageWords | undefined;
  let inArguments = false;
  let hadArguments = false;
  for (let at = start; at < tokens.length;) {
    const token = tokens[at] ?? '';
    if (token === '') at += 1;
    else if (inArguments) {
      if (token === '---') inArguments = false;
      else last?.args.push(token);
      at += 1;
    } else if (token === '--') {
      if (refuseAppArguments) throw refused('app arguments unsupported');
      if (last === undefined) throw refused('an image is required before any app arguments');
      if (hadArguments) throw refused('only one set of app arguments allowed per image');
      inArguments = true;
      hadArguments = true;
      at += 1;
    } else if (token === '---') at += 1;
    else {
      const { next } = parseFlags(tokens, at, session, 'first-word');
      if (next === at) {
        last = { image: token, args: [], flags: flagStore(table) };
        images.push(last);
        hadArguments = false;
        at += 1;
      } else at = next;
    }
  }
}

function refused(reason: string): CliError {
  return new CliError('bad-image-arguments', reason);
}
