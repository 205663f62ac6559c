// The process an app wants to be, as plain data: what the shim is told by stage1. Pure.
// A JSON file of this form is the argument of bin/exec-app.ts.

import { quote } from '@rkt/diagnostics/quote';

import { Stage2Error } from './errors.ts';

/** Mask of new files when nothing else is asked for: systemd's default. */
export const DEFAULT_UMASK = 0o022;

/** Everything that makes a process the app's. */
export interface AppProcess {
  /** New root directory, absolute as the caller sees it; `/` leaves the root as it is. */
  readonly root: string;
  /** Absolute inside the new root. */
  readonly workingDirectory: string;
  /** File to execute, absolute inside the new root. */
  readonly executable: string;
  /** Arguments, the program's name first. */
  readonly argv: readonly string[];
  /** The whole environment; a later variable of the same name wins. */
  readonly environment: readonly { readonly name: string; readonly value: string }[];
  readonly uid: number;
  readonly gid: number;
  /** Groups beside `gid`. */
  readonly supplementaryGids: readonly number[];
  /** Names of the capabilities the process may ever hold; absent: as the caller. */
  readonly boundingCapabilities?: readonly string[];
  /** Names of the capabilities that survive execve for a non-root user; each must be in the bounding set. */
  readonly ambientCapabilities?: readonly string[];
  readonly noNewPrivileges?: boolean;
  /** File mode creation mask; {@link DEFAULT_UMASK} when absent. */
  readonly umask?: number;
  /** Descriptors beside 0, 1 and 2 that the app gets; all others are closed. */
  readonly keepOpen?: readonly number[];
}

/**
 * Checks what cannot be expressed in the type, so that nothing is half done when it is found out.
 * @throws Stage2Error `bad-spec`
 */
export function checkAppProcess(app: AppProcess): void {
  for (const [what, file] of [
    ['root', app.root],
    ['working directory', app.workingDirectory],
    ['executable', app.executable],
  ] as const) {
    if (!file.startsWith('/')) throw bad(`${what} is not an absolute path: ${quote(file)}`);
  }
  if (app.argv.length === 0) throw bad('no program name in the arguments');
  for (const id of [app.uid, app.gid, ...app.supplementaryGids]) {
    // -1 means "leave as it is" to setresuid(2): it would keep root.
    if (!Number.isInteger(id) || id < 0 || id > 0xffff_fffe) throw bad(`invalid uid or gid: ${id}`);
  }
  for (const text of [...app.argv, ...app.environment.flatMap(({ name, value }) => [name, value])]) {
    if (text.includes('\0')) throw bad(`an argument or variable holds a NUL byte: ${quote(text)}`);
  }
  for (const { name } of app.environment) {
    if (name === '' || name.includes('=')) throw bad(`not a name of a variable: ${quote(name)}`);
  }
}

/** The process description in `text`. @throws Stage2Error `bad-spec` */
export function parseAppProcess(text: string): AppProcess {
  let app: AppProcess;
  try {
    app = JSON.parse(text) as AppProcess;
  } catch (cause) {
    throw new Stage2Error('bad-spec', 'process description is not JSON', { cause });
  }
  const strings = (value: unknown): boolean =>
    Array.isArray(value) && value.every((item) => typeof item === 'string');
  const numbers = (value: unknown): boolean =>
    Array.isArray(value) && value.every((item) => typeof item === 'number');
  const variables = (value: unknown): boolean =>
    Array.isArray(value) &&
    value.every((item: { name?: unknown; value?: unknown } | null) => strings([item?.name, item?.value]));
  const isObject = typeof app === 'object' && app !== null;
  const whole =
    isObject &&
    strings([app.root, app.workingDirectory, app.executable]) &&
    strings(app.argv) &&
    variables(app.environment) &&
    numbers([app.uid, app.gid]) &&
    numbers(app.supplementaryGids) &&
    strings(app.boundingCapabilities ?? []) &&
    strings(app.ambientCapabilities ?? []) &&
    typeof (app.noNewPrivileges ?? false) === 'boolean' &&
    typeof (app.umask ?? 0) === 'number' &&
    numbers(app.keepOpen ?? []);
  if (!whole) throw bad('process description lacks a field or has one of a wrong type');
  return app;
}

function bad(message: string): Stage2Error {
  return new Stage2Error('bad-spec', message);
}
