// Environment variables of a pod: --set-env, --set-env-file, --environment (contract stage0 8.3). Runs in stage0.

import { closeSync, openSync, readSync } from 'node:fs';
import { getSystemErrorMessage } from 'node:util';

import { quote } from '@rkt/diagnostics/quote';

import { badValue } from '../errors.ts';
import type { Flag } from '../flag.ts';
import type { EnvironmentFlag } from '../requests.ts';
import { loadAssignment } from './parsers.ts';

// Larger than any environment an exec accepts (128 KiB a string, a quarter of the stack in all).
const FILE_LIMIT_BYTES = 16 * 1024 * 1024;

type Split = (text: string) => EnvironmentFlag;

function addVariable(
  previous: readonly EnvironmentFlag[],
  text: string,
  split: Split,
): readonly EnvironmentFlag[] {
  const variable = split(text);
  if (previous.some(({ name }) => name === variable.name)) {
    throw badValue(`key ${quote(variable.name)} already set`);
  }
  return [...previous, variable];
}

/** --set-env K=V */
export const setEnv: Flag<readonly EnvironmentFlag[]> = {
  type: 'string',
  array: true,
  describe: 'Environment variable of all apps; wins over those of files and images',
  placeholder: 'NAME=VALUE',
  initial: [],
  load: async () => {
    const split = await loadAssignment();
    return (previous, text) => addVariable(previous, text, split);
  },
};

/** --set-env-file FILE */
export const setEnvFile: Flag<readonly EnvironmentFlag[]> = {
  type: 'string',
  array: true,
  describe: 'File of NAME=VALUE lines for all apps; lines that start with # or ; are comments',
  placeholder: 'FILE',
  complete: 'file',
  initial: [],
  load: async () => {
    const split = await loadAssignment();
    return (previous, file) => addLines(previous, file, readLimited(file), split);
  },
};

/** Adds the variables of the text of an environment file; its name is for errors. */
export function addLines(
  previous: readonly EnvironmentFlag[],
  file: string,
  text: string,
  split: Split,
): readonly EnvironmentFlag[] {
  let variables = previous;
  for (const [index, line] of text.split('\n').entries()) {
    if (line === '' || line.startsWith('#') || line.startsWith(';')) continue;
    try {
      variables = addVariable(variables, line, split);
    } catch (error) {
      throw badValue(`${quote(file)} line ${index + 1}: ${(error as Error).message}`);
    }
  }
  return variables;
}

// Read in pieces, as the file may be a pipe: `--set-env-file <(command)`.
function readLimited(file: string): string {
  const fd = open(file);
  try {
    const pieces: Buffer[] = [];
    for (let size = 0; ;) {
      const piece = Buffer.allocUnsafe(64 * 1024);
      const count = readSync(fd, piece);
      if (count === 0) return Buffer.concat(pieces).toString('utf8');
      size += count;
      if (size > FILE_LIMIT_BYTES) throw badValue(`${quote(file)} is larger than 16 MiB`);
      pieces.push(piece.subarray(0, count));
    }
  } finally {
    closeSync(fd);
  }
}

function open(file: string): number {
  try {
    return openSync(file, 'r');
  } catch (error) {
    const { errno = 0 } = error as NodeJS.ErrnoException;
    throw badValue(`cannot open ${quote(file)}: ${getSystemErrorMessage(errno)}`);
  }
}
