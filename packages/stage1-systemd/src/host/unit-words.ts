// Values of unit directives that take paths (systemd.syntax(7), systemd.exec(5)). Pure.

import { UnitError } from 'systemd-unit-parser/errors';

/** A path as one word of a directive: specifiers taken literally, quoted where it holds anything special. */
export function pathWord(path: string): string {
  const literal = literalPath(path);
  return /^[\w./@%+,=-]+$/.test(literal) ? literal : `"${literal.replace(/["\\]/g, '\\$&')}"`;
}

/** A path as the whole value of a directive that takes one path and no quotes, such as WorkingDirectory. */
export function wholePath(path: string): string {
  const literal = literalPath(path);
  // Blanks at the end are cut off, and a backslash there goes on in the next line.
  return /[\s\\]$/.test(literal) ? `${literal}/` : literal;
}

function literalPath(path: string): string {
  if (/[\0\n\r]/.test(path)) {
    throw new UnitError('unrepresentable', `no unit file can hold the path ${JSON.stringify(path)}`);
  }
  return path.replaceAll('%', '%%');
}
