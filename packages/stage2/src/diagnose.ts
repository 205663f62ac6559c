// Why a file cannot be executed, in the words of Go rkt's diagnostic tool (contract 2.7). Runs in the process that
// failed to become the app, inside the app's root, or on the host with that root as an argument.

import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';

import { quote } from '@rkt/diagnostics/quote';
import { hasCode } from '@rkt/diagnostics/rkt-error';

/** A kernel gives up after 4 scripts that name each other as interpreters; the tool has always allowed more. */
const MAX_INTERPRETERS = 10;
/** Bytes of a script that the kernel looks at (BINPRM_BUF_SIZE). */
const SCRIPT_HEAD_BYTES = 256;

/** Opens a file of the app's root for reading; throws an error with an errno code. */
export type OpenInRoot = (file: string) => number;

const openHere: OpenInRoot = (file) => openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);

/**
 * The reason why `executable` cannot be run, starting with `Error: `, or undefined when nothing is wrong with it, its
 * script interpreters and its ELF interpreter. Never throws: it runs when something has failed already.
 */
export function diagnoseExecutable(executable: string, open: OpenInRoot = openHere): string | undefined {
  let file = executable;
  for (let depth = 0; depth < MAX_INTERPRETERS; depth += 1) {
    if (!file.startsWith('/')) return `Error: Path must be absolute: ${quote(file)}`;
    let fd: number;
    try {
      fd = open(file);
    } catch (error) {
      return `Error: Unable to open ${quote(file)}: ${reason(error)}`;
    }
    try {
      const next = inspect(file, fd);
      if (typeof next === 'object') return next.error;
      if (next === undefined) return undefined;
      file = next;
    } catch (error) {
      return `Error: Unable to read ${quote(file)}: ${reason(error)}`;
    } finally {
      closeSync(fd);
    }
  }
  return 'Error: Excessive interpreter recursion, giving up';
}

/** The reason why no process can start in `directory`, or undefined. Never throws, as {@link diagnoseExecutable}. */
export function diagnoseDirectory(directory: string, open: OpenInRoot = openHere): string | undefined {
  const unable = (why: string): string => `Error: Unable to change to ${quote(directory)}: ${why}`;
  try {
    const fd = open(directory);
    const found = fstatSync(fd).isDirectory();
    closeSync(fd);
    return found ? undefined : unable('Not a directory');
  } catch (error) {
    return unable(reason(error));
  }
}

// The interpreter to look at next, undefined when there is none, or what is wrong.
function inspect(file: string, fd: number): string | undefined | { readonly error: string } {
  const status = fstatSync(fd);
  if (!status.isFile() || (status.mode & 0o111) === 0)
    return { error: `Error: ${quote(file)} is not executable` };
  const head = readAt(fd, 0, SCRIPT_HEAD_BYTES);
  if (head.subarray(0, 2).toString('latin1') === '#!') {
    const interpreter = /^#![ \t]*([^ \t\n\0]+)/.exec(head.toString('utf8'))?.[1];
    return interpreter ?? { error: `Error: Unable to determine interpreter for ${quote(file)}` };
  }
  if (head.subarray(0, 4).toString('latin1') === '\x7fELF') return elfInterpreter(file, fd, head);
  return { error: 'Error: Unsupported file type' };
}

const PT_INTERP = 3;
const LITTLE_ENDIAN_CLASS_64 = 2;

// Program headers of a little-endian ELF file, 32 or 64 bits (elf(5)).
function elfInterpreter(
  file: string,
  fd: number,
  head: Buffer,
): string | undefined | { readonly error: string } {
  const undetermined = { error: `Error: Unable to determine interpreter for ${quote(file)}` };
  if (head.length < 52) return undetermined;
  const wide = head[4] === LITTLE_ENDIAN_CLASS_64;
  if (wide && head.length < 64) return undetermined;
  const tableOffset = wide ? Number(head.readBigUInt64LE(32)) : head.readUInt32LE(28);
  const entryBytes = head.readUInt16LE(wide ? 54 : 42);
  const entries = head.readUInt16LE(wide ? 56 : 44);
  for (let index = 0; index < entries; index += 1) {
    const header = readAt(fd, tableOffset + index * entryBytes, wide ? 56 : 32);
    if (header.length < (wide ? 56 : 32)) return undetermined;
    if (header.readUInt32LE(0) !== PT_INTERP) continue;
    const offset = wide ? Number(header.readBigUInt64LE(8)) : header.readUInt32LE(4);
    const length = wide ? Number(header.readBigUInt64LE(32)) : header.readUInt32LE(16);
    const name = readAt(fd, offset, Math.min(length, 4096));
    const end = name.indexOf(0);
    return end > 0 ? name.toString('utf8', 0, end) : undetermined;
  }
  return undefined;
}

function readAt(fd: number, position: number, length: number): Buffer {
  const buffer = Buffer.alloc(length);
  return buffer.subarray(0, readSync(fd, buffer, 0, length, position));
}

// strerror(3) as the tool printed it.
function reason(error: unknown): string {
  if (hasCode(error, 'ENOENT')) return 'No such file or directory';
  if (hasCode(error, 'EACCES')) return 'Permission denied';
  if (hasCode(error, 'ENOTDIR')) return 'Not a directory';
  if (hasCode(error, 'ELOOP')) return 'Too many levels of symbolic links';
  return error instanceof Error ? error.message : String(error);
}
