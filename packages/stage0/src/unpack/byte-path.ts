// File names as the kernel has them: bytes, kept in strings of one character a byte (latin1), so that they can be
// compared, split and used as keys. Pure; runs in stage0.

import { printable } from '@rkt/diagnostics/quote';

/** A relative path, cleaned: no empty, `.` or `..` component, no slash at the ends. Empty for the root itself. */
export type BytePath = string;

/** The bytes for a system call. */
export function pathBytes(path: BytePath): Buffer {
  return Buffer.from(path, 'latin1');
}

/** For messages: UTF-8 as such, what could harm a terminal escaped. */
export function readable(path: BytePath): string {
  return printable(pathBytes(path).toString('utf8'));
}

/** The directory that holds `path`; empty for the root. */
export function parentOf(path: BytePath): BytePath {
  const slash = path.lastIndexOf('/');
  return slash === -1 ? '' : path.slice(0, slash);
}

/** The last component. */
export function baseOf(path: BytePath): BytePath {
  return path.slice(path.lastIndexOf('/') + 1);
}
