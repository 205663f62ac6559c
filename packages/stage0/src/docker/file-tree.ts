// Files that an image is made of on this machine: those of a directory, or the members of an archive. Runs in stage0.

import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, readSync } from 'node:fs';

import { printable } from '@rkt/diagnostics/quote';
import { hasCode, wrap } from '@rkt/diagnostics/rkt-error';
import { openBeneath, openRoot } from '@rkt/linux/safe-path';

import { refuse } from './errors.ts';

/** One file, open until it is closed. */
export interface OpenFile {
  readonly sizeBytes: number;
  /** At most `length` bytes from `position` on; fewer at the end. */
  read(position: number, length: number): Buffer;
  close(): void;
}

/** Files by their relative names. */
export interface FileTree {
  /** For messages. */
  readonly where: string;
  /** Undefined when there is none. @throws DockerError `bad-image` when it is no regular file */
  open(name: string): OpenFile | undefined;
  close(): void;
}

const CHUNK_BYTES = 1024 * 1024;

/** The whole of a small file. @throws DockerError `not-found`, `bad-image` when it is larger than `maxBytes` */
export function readSmall(tree: FileTree, name: string, maxBytes: number): Buffer {
  const file = tree.open(name);
  if (file === undefined) return refuse('not-found', `${tree.where} has no ${printable(name)}`);
  try {
    if (file.sizeBytes > maxBytes) {
      refuse('bad-image', `${tree.where}: ${printable(name)} is larger than ${maxBytes} bytes`);
    }
    return file.read(0, file.sizeBytes);
  } finally {
    file.close();
  }
}

/** The bytes of a file, each piece in memory of its own. Closes the file at the end. */
export async function* chunksOf(file: OpenFile): AsyncGenerator<Buffer, void, undefined> {
  try {
    for (let position = 0; ;) {
      const chunk = file.read(position, CHUNK_BYTES);
      if (chunk.length === 0) return;
      position += chunk.length;
      yield chunk;
    }
  } finally {
    file.close();
  }
}

/** sha256 of a file; closes it. */
export async function digestOf(file: OpenFile): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of chunksOf(file)) hash.update(chunk);
  return `sha256:${hash.digest('hex')}`;
}

/** Reads `length` bytes, or up to the end of the file. */
export function readAt(fd: number, position: number, length: number): Buffer {
  const buffer = Buffer.allocUnsafeSlow(length);
  let filled = 0;
  while (filled < length) {
    const count = readSync(fd, buffer, filled, length - filled, position + filled);
    if (count === 0) break;
    filled += count;
  }
  return buffer.subarray(0, filled);
}

/** The files below `directory`, and nothing that its links would reach. @throws KernelError */
export function directoryTree(directory: string): FileTree {
  const root = openDirectory(directory);
  return {
    where: printable(directory),
    open: (name) => openMember(root, directory, name),
    close: () => closeSync(root),
  };
}

function openDirectory(directory: string): number {
  try {
    return openRoot(directory);
  } catch (error) {
    throw wrap(`cannot open image layout ${printable(directory)}`, error);
  }
}

function openMember(root: number, directory: string, name: string): OpenFile | undefined {
  let fd: number;
  try {
    // O_NONBLOCK: a fifo must not hang us.
    fd = openBeneath(root, name, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR')) return undefined;
    throw error;
  }
  const status = fstatSync(fd);
  if (!status.isFile()) {
    closeSync(fd);
    refuse('bad-image', `${printable(`${directory}/${name}`)} is not a regular file`);
  }
  let open = true;
  return {
    sizeBytes: status.size,
    read: (position, length) => readAt(fd, position, length),
    close: () => {
      if (open) closeSync(fd);
      open = false;
    },
  };
}
