// rkt/env/APP: the environment of an app in the form systemd reads (contract 2.10; systemd.exec(5), EnvironmentFile).
// Pure.
//
// rkt wrote values as they are, and systemd took quotes, backslashes and blanks in them for syntax (contract 10.2, 14).
// A value in double quotes, with these four characters escaped, is taken literally, newlines included.

import { printEnvironment } from '@rkt/pod-layout/files';
import type { EnvironmentVariable } from '@rkt/spec/environment';

/** The file's text; values that mean themselves stay as rkt wrote them. */
export function environmentFile(variables: readonly EnvironmentVariable[]): string {
  return printEnvironment(
    variables.map(({ name, value }) => ({ name, value: isPlain(value) ? value : quoted(value) })),
  );
}

function isPlain(value: string): boolean {
  return /^[\w./:@%+,=-]*$/.test(value);
}

function quoted(value: string): string {
  return `"${value.replace(/["\\$`]/g, '\\$&')}"`;
}
