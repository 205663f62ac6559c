// Finds where a text stops being JSON, for error messages only: JSON.parse says that, not always where.
// Walks without recursion, so depth costs no stack. Pure; runs in every process.

/** Deepest nesting that is read; real manifests stay below ten. */
export const MAX_DEPTH = 1000;

/** The first complaint about a text. */
export interface JsonFault {
  /** Index into the text, in UTF-16 units. */
  readonly offset: number;
  readonly reason: string;
}

const SPACE = /[ \t\n\r]*/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;
const LITERAL = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;

type Expectation = 'value' | 'value or ]' | 'key' | 'key or }' | ':' | ', or ]' | ', or }' | 'end';

/** The first fault of `text`, or undefined when it is JSON of acceptable depth. */
export function findJsonFault(text: string): JsonFault | undefined {
  const open: ('[' | '{')[] = [];
  let expected: Expectation = 'value';
  let offset = 0;

  const afterValue = (): Expectation => {
    const inner = open.at(-1);
    return inner === undefined ? 'end' : inner === '[' ? ', or ]' : ', or }';
  };
  const take = (pattern: RegExp): boolean => {
    const length = matchAt(pattern, text, offset);
    offset += length;
    return length > 0;
  };
  const takeString = (): boolean => {
    const end = endOfString(text, offset);
    offset = end ?? offset;
    return end !== undefined;
  };

  for (;;) {
    take(SPACE);
    const char = text[offset];
    if (char === undefined) {
      return expected === 'end' ? undefined : { offset, reason: `unexpected end, ${wanted(expected)}` };
    }
    const before = offset;
    const value = expected === 'value' || expected === 'value or ]';
    if (value && (char === '[' || char === '{')) {
      if (open.length === MAX_DEPTH) return { offset, reason: `nested deeper than ${MAX_DEPTH} levels` };
      open.push(char);
      expected = char === '[' ? 'value or ]' : 'key or }';
      offset += 1;
    } else if (value && (takeString() || take(LITERAL))) {
      expected = afterValue();
    } else if ((expected === 'key' || expected === 'key or }') && takeString()) {
      expected = ':';
    } else if (expected === char) {
      expected = 'value';
      offset += 1;
    } else if (char === ',' && expected.startsWith(',')) {
      expected = open.at(-1) === '[' ? 'value' : 'key';
      offset += 1;
    } else if ((char === ']' || char === '}') && expected.endsWith(` ${char}`)) {
      open.pop();
      expected = afterValue();
      offset += 1;
    }
    if (offset === before) return faultAt(text, offset, expected);
  }
}

function matchAt(pattern: RegExp, text: string, offset: number): number {
  pattern.lastIndex = offset;
  return pattern.exec(text)?.[0].length ?? 0;
}

// The offset behind the string that starts at `offset`. A loop, as one pattern for it all may exhaust the
// stack.
function endOfString(text: string, offset: number): number | undefined {
  if (text[offset] !== '"') return undefined;
  for (let at = offset + 1; at < text.length;) {
    const char = text.charCodeAt(at);
    if (char === 0x22) return at + 1;
    const length = char === 0x5c ? matchAt(ESCAPE, text, at) : Number(char >= 0x20);
    if (length === 0) return undefined;
    at += length;
  }
  return undefined;
}

function faultAt(text: string, offset: number, expected: Expectation): JsonFault {
  if (text[offset] === '"' && expected !== 'end' && !expected.startsWith(',') && expected !== ':') {
    return { offset, reason: 'bad string: unfinished, or with a control character or an unknown escape' };
  }
  if (offset === 0 && text.startsWith('\ufeff')) return { offset, reason: 'starts with a byte order mark' };
  return { offset, reason: `unexpected character, ${wanted(expected)}` };
}

function wanted(expected: Expectation): string {
  return expected === 'end' ? 'expected nothing more' : `expected ${expected}`;
}
