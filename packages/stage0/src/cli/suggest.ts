// What the user may have meant by a misspelt word; yargs knows how far words are apart. Runs in stage0.

import yargs from 'yargs';

// Below this length everything is close to everything.
const SHORTEST = 3;

/** The one of `candidates` that is close to `word`; empty if none is. */
export function suggest(word: string, candidates: readonly string[]): string[] {
  if (word.length < SHORTEST) return [];
  let answer = '';
  const parser = yargs()
    .detectLocale(false)
    .updateStrings({ 'Did you mean %s?': '%s' })
    .help(false)
    .version(false)
    .exitProcess(false)
    .recommendCommands()
    .fail((message) => {
      answer = message;
    });
  for (const candidate of candidates.filter((name) => looksLike(name, word))) parser.command(candidate, '');
  // A leading dash would make yargs look for a flag.
  parser.parseSync([word.replace(/^-+/, '')]);
  return candidates.filter((candidate) => candidate === answer);
}

// Short names are a few letters from anything: they must begin or end as the word does.
function looksLike(candidate: string, word: string): boolean {
  return candidate.startsWith(word.slice(0, 2)) || candidate.endsWith(word.slice(-2));
}
