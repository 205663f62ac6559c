// Which file an app's exec[0] names (contract 2.6, end). Runs in stage1, on the host, against the app's root.

import { accessSync, constants, statSync } from 'node:fs';
import { isAbsolute, join, resolve } from 'node:path';

import { quote } from '@rkt/diagnostics/quote';
import { wrap } from '@rkt/diagnostics/rkt-error';
import { resolveInRoot } from '@rkt/linux/safe-path';

import { environmentValue } from './app-env.ts';
import { Stage1Error } from './errors.ts';
import type { LoadedApp } from './pod.ts';

/** The working directory of an app: `/` unless it names one (contract 2.5). */
export function workingDirectory({ app }: Pick<LoadedApp, 'app'>): string {
  return app.workingDirectory === undefined || app.workingDirectory === '' ? '/' : app.workingDirectory;
}

/**
 * Absolute path, inside the app's root, of the program to execute. Symlinks are followed inside the root to judge
 * it, but the path comes back as it was found, since programs look at their own name.
 * @throws Stage1Error `executable-not-found` for an empty exec or a bare name that no directory offers
 */
export function findExecutable(loaded: LoadedApp): string {
  const { app, image, rootfs } = loaded;
  const [program] = app.exec ?? [];
  if (program === undefined || program === '') {
    throw new Stage1Error(
      'executable-not-found',
      `image ${quote(image.name)} has an empty "exec" (try --exec=BINARY)`,
    );
  }
  return lookUpProgram(rootfs, program, {
    cwd: workingDirectory(loaded),
    path: environmentValue(app.environment ?? [], 'PATH'),
  });
}

/** Where {@link lookUpProgram} looks. */
export interface ProgramSearch {
  /** Working directory inside the root. */
  readonly cwd: string;
  /** The app's PATH; undefined when it has none. */
  readonly path: string | undefined;
}

/**
 * {@link findExecutable} for any program name: absolute ones stand for themselves, relative paths start in the working
 * directory, bare names are searched for.
 * @throws Stage1Error `executable-not-found`
 */
export function lookUpProgram(rootfs: string, program: string, search: ProgramSearch): string {
  if (isAbsolute(program)) return program;
  if (program.includes('/')) return join(search.cwd, program);
  const directories = searchedDirectories(search);
  for (const directory of directories) {
    const candidate = join(directory, program);
    if (isExecutable(rootfs, candidate)) return candidate;
  }
  throw wrap(
    `error looking up ${quote(program)}`,
    new Stage1Error(
      'executable-not-found',
      `unable to find ${quote(program)} in ${quote(directories.join(':'))}`,
    ),
  );
}

function searchedDirectories({ cwd, path: paths }: ProgramSearch): string[] {
  if (paths === undefined) return [cwd, '/bin', '/usr/bin'];
  return paths.split(':').map((directory) => resolve(cwd, directory));
}

function isExecutable(rootfs: string, file: string): boolean {
  try {
    const target = join(rootfs, resolveInRoot(rootfs, file));
    if (!statSync(target).isFile()) return false;
    accessSync(target, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
