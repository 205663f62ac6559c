// WWW-Authenticate headers (RFC 9110 11.6.1): several challenges, each with parameters that may be quoted. Pure; runs in
// stage0.

/** One way a server offers to log in. */
export interface Challenge {
  /** Lower case, e.g. `bearer`. */
  readonly scheme: string;
  /** By lower-case name. */
  readonly parameters: ReadonlyMap<string, string>;
}

const TOKEN = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y;
const QUOTED = /"((?:[^"\\]|\\.)*)"/sy;
const SPACE = /[\t ]*/y;

/** The challenges in a header; what does not follow the grammar ends the list. */
export function parseChallenges(header: string): Challenge[] {
  const challenges: { scheme: string; parameters: Map<string, string> }[] = [];
  let at = 0;
  const take = (pattern: RegExp): RegExpExecArray | undefined => {
    pattern.lastIndex = at;
    const match = pattern.exec(header) ?? undefined;
    if (match !== undefined) at += match[0].length;
    return match;
  };
  const skip = (): boolean => {
    const before = at;
    take(SPACE);
    return at > before;
  };
  for (;;) {
    skip();
    while (header[at] === ',') {
      at += 1;
      skip();
    }
    const word = take(TOKEN)?.[0];
    if (word === undefined) return challenges;
    const afterWord = at;
    skip();
    const current = challenges.at(-1);
    if (header[at] === '=' && current !== undefined) {
      at += 1;
      skip();
      const quoted = take(QUOTED);
      const value = quoted?.[1]?.replace(/\\(.)/gs, '$1') ?? take(TOKEN)?.[0];
      if (value === undefined) return challenges;
      // Of repeated parameters the first counts: what comes later may be somebody else's.
      const name = word.toLowerCase();
      if (!current.parameters.has(name)) current.parameters.set(name, value);
      continue;
    }
    at = afterWord;
    challenges.push({ scheme: word.toLowerCase(), parameters: new Map() });
  }
}
