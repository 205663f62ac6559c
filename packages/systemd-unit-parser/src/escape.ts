// Names inside unit names: what systemd-escape(1) does, without starting it. Pure; runs anywhere.

import { UnitError } from './errors.ts';

const PLAIN = /^[A-Za-z0-9:_.]$/;

/** `text` as part of a unit name: `/` becomes `-`, other unusual bytes `\xNN`. As `systemd-escape TEXT`. */
export function escapeUnitName(text: string): string {
  let out = '';
  for (const byte of new TextEncoder().encode(text)) {
    const char = String.fromCharCode(byte);
    if (char === '/') out += '-';
    else if (PLAIN.test(char) && !(char === '.' && out === '')) out += char;
    else out += `\\x${byte.toString(16).padStart(2, '0')}`;
  }
  return out;
}

/**
 * The inverse of {@link escapeUnitName}. As `systemd-escape --unescape NAME`.
 *
 * @throws {UnitError} code `escape` for a backslash that starts no `\xNN`, and for bytes that are no UTF-8 text.
 */
export function unescapeUnitName(name: string): string {
  const bytes: number[] = [];
  const encoder = new TextEncoder();
  for (let index = 0; index < name.length;) {
    const char = name.charAt(index);
    if (char === '\\') {
      const digits = /^\\x([0-9A-Fa-f]{2})/.exec(name.slice(index, index + 4))?.[1];
      if (digits === undefined) throw new UnitError('escape', `bad escape in unit name "${name}"`);
      bytes.push(Number.parseInt(digits, 16));
      index += 4;
      continue;
    }
    const point = String.fromCodePoint(name.codePointAt(index) ?? 0);
    bytes.push(...(char === '-' ? [0x2f] : encoder.encode(point)));
    index += point.length;
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(bytes));
  } catch {
    throw new UnitError('escape', `unit name "${name}" holds no UTF-8 text`);
  }
}

/**
 * A path as part of a unit name: redundant slashes and `.` removed, `/` itself `-`. As `systemd-escape --path PATH`.
 *
 * @throws {UnitError} code `escape` for a path with `..`, as the result would name another file.
 */
export function escapeUnitPath(path: string): string {
  const parts = pathParts(path);
  const onlyDots = parts.length === 0 && path !== '' && !path.startsWith('/');
  if (onlyDots || parts.includes('..')) throw new UnitError('escape', `path "${path}" is not normalized`);
  return parts.length === 0 ? '-' : escapeUnitName(parts.join('/'));
}

/**
 * The absolute path behind an escaped one. As `systemd-escape --unescape --path NAME`.
 *
 * @throws {UnitError} code `escape` for a name that {@link escapeUnitPath} cannot have made.
 */
export function unescapeUnitPath(name: string): string {
  if (name === '-') return '/';
  const path = unescapeUnitName(name);
  const parts = path.split('/');
  const odd = (part: string): boolean => part === '' || part === '.' || part === '..';
  if (parts.some(odd)) throw new UnitError('escape', `unit name "${name}" holds no normalized path`);
  return `/${path}`;
}

/**
 * The unit name of a template's instance: `instantiate('getty@.service', 'tty1')` is `getty@tty1.service`. The
 * instance is used as it is: escape it first if it may hold unusual characters.
 *
 * @throws {UnitError} code `escape` if `template` has no `@` directly before its suffix.
 */
export function instantiate(template: string, instance: string): string {
  const at = template.lastIndexOf('@.');
  if (at < 1) throw new UnitError('escape', `"${template}" is not a template unit name`);
  return `${template.slice(0, at + 1)}${instance}${template.slice(at + 1)}`;
}

function pathParts(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}
