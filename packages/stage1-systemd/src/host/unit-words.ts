// Values of unit directives that take paths (systemd.syntax(7), systemd.exec(5)). Pure.

import { UnitError } from 'systemd-unit-parser/errors';

/** A path as one word of a directive: specifiers taken literally, quoted where it holds anything special. */
export function pathWord(path: string): string {
  if (/[\0\n\r]/.test(path)) {
    throw new UnitError('unrepresentable', `no unit file can hold the path ${JSON.stringify(path)}`);
  }
  const literal = path.replaceAll('%', '%%');
  return /^[\w./@%+,=-]+$/.test(literal) ? literal : `"${literal.replace(/["\\]/g, '\\$&')}"`;
}
