// Q(x) of the contract: text in double quotes, with Go's escapes. Pure; runs in every process.

const NAMED: Record<string, string> = {
  '"': '\\"',
  '\\': '\\\\',
  '\x07': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
};

/** `text` in double quotes, safe for a terminal: control and unprintable characters are escaped (contract stage0, legend). */
export function quote(text: string): string {
  return `"${escapeUnprintable(text, true)}"`;
}

/** `text` with control characters escaped but without quotes, for values that are shown in tables. */
export function printable(text: string): string {
  return /^[\x20-\x7e]*$/.test(text) ? text : escapeUnprintable(text, false);
}

function escapeUnprintable(text: string, quotes: boolean): string {
  let out = '';
  for (const char of text) {
    if (!quotes && (char === '"' || char === '\\')) out += char;
    else out += NAMED[char] ?? (isPrintable(char) ? char : escapeCode(char.codePointAt(0) ?? 0));
  }
  return out;
}

function isPrintable(char: string): boolean {
  // Nearly all text is ASCII, and the expression below takes 10 ms to compile.
  if (char >= ' ' && char <= '~') return true;
  return /^[\p{L}\p{M}\p{N}\p{P}\p{S}]$/u.test(char);
}

function escapeCode(code: number): string {
  if (code < 0x80) return `\\x${code.toString(16).padStart(2, '0')}`;
  if (code <= 0xffff) return `\\u${code.toString(16).padStart(4, '0')}`;
  return `\\U${code.toString(16).padStart(8, '0')}`;
}
