// The members of a tar archive by name, read in place: only headers are looked at to find them. A compressed archive is
// decompressed once, into a file without a name. Runs in stage0.

import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import path from 'node:path';

import { printable } from '@rkt/diagnostics/quote';
import { wrap } from '@rkt/diagnostics/rkt-error';
import { withKernelErrors } from '@rkt/linux/errno';
import type { DataDir } from '@rkt/pod-layout/data-dir';
import { type AciCompression, detectCompression } from '@rkt/spec/aci';

import { decompressed } from '../unpack/decompress.ts';
import { DEFAULT_LIMITS } from '../unpack/limits.ts';
import { paxInteger, type PaxRecords, parsePaxRecords } from '../unpack/pax.ts';
import { BLOCK_BYTES, parseTarHeader, type TarHeader } from '../unpack/tar-header.ts';
import { refuse } from './errors.ts';
import { type FileTree, readAt } from './file-tree.ts';
import { scratchFile } from './scratch-file.ts';

interface Member {
  readonly offset: number;
  readonly sizeBytes: number;
}

// A saved image has three members for each layer, and few more.
const MAX_MEMBERS = 100_000;
const MAX_LINKS = 8;

/** Opens the archive `file`. @throws DockerError, UnpackError, KernelError */
export async function archiveTree(file: string, data: DataDir): Promise<FileTree> {
  const where = printable(file);
  const fd = await openUncompressed(file, data);
  try {
    const members = findMembers(fd, fstatSync(fd).size, where);
    return {
      where,
      open: (name) => {
        const member = members.get(name);
        if (member === undefined) return undefined;
        const { offset, sizeBytes } = member;
        return {
          sizeBytes,
          read: (position, length) =>
            readAt(fd, offset + position, Math.max(0, Math.min(length, sizeBytes - position))),
          close: () => undefined,
        };
      },
      close: () => closeSync(fd),
    };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

async function openUncompressed(file: string, data: DataDir): Promise<number> {
  const fd = openArchive(file);
  const compression = compressionOf(fd);
  if (compression === 'none') return fd;
  try {
    const archive = { fd, sizeBytes: fstatSync(fd).size };
    return await scratchFile(data, decompressed(archive, compression, DEFAULT_LIMITS), printable(file));
  } finally {
    closeSync(fd);
  }
}

function openArchive(file: string): number {
  let fd: number;
  try {
    fd = withKernelErrors(file, () => openSync(file, constants.O_RDONLY | constants.O_NONBLOCK));
  } catch (error) {
    throw wrap('cannot open image archive', error);
  }
  if (fstatSync(fd).isFile()) return fd;
  closeSync(fd);
  return refuse('bad-image', `${printable(file)} is not a regular file`);
}

// What is nothing else is taken for tar: old archives have no mark.
function compressionOf(fd: number): AciCompression {
  try {
    return detectCompression(readAt(fd, 0, BLOCK_BYTES));
  } catch {
    return 'none';
  }
}

/** Where each regular file is; links among them are followed. */
function findMembers(fd: number, sizeBytes: number, where: string): Map<string, Member> {
  const members = new Map<string, Member>();
  const links = new Map<string, string>();
  for (const { header, name, linkName, offset, stored } of headersOf(fd, sizeBytes, where)) {
    if (members.size + links.size > MAX_MEMBERS) refuse('bad-image', `${where}: too many members`);
    const clean = path.posix.normalize(name);
    if (members.has(clean) || links.has(clean)) {
      // Who looks at the first must not see another image than who looks at the last.
      if ('5'.includes(header.type)) continue;
      refuse('bad-image', `${where}: member ${printable(name)} is there twice`);
    }
    if ('07'.includes(header.type)) members.set(clean, { offset, sizeBytes: stored });
    else if (header.type === '1') links.set(clean, path.posix.normalize(linkName));
    else if (header.type === '2') {
      links.set(clean, path.posix.normalize(path.posix.join(path.posix.dirname(clean), linkName)));
    }
  }
  for (const name of links.keys()) {
    const member = followLinks(name, members, links);
    if (member !== undefined) members.set(name, member);
  }
  return members;
}

function followLinks(
  name: string,
  members: ReadonlyMap<string, Member>,
  links: ReadonlyMap<string, string>,
): Member | undefined {
  let at: string | undefined = name;
  for (let step = 0; at !== undefined && step < MAX_LINKS; step += 1) {
    const member = members.get(at);
    if (member !== undefined) return member;
    at = links.get(at);
  }
  return undefined;
}

interface FoundHeader {
  readonly header: TarHeader;
  readonly name: string;
  readonly linkName: string;
  readonly offset: number;
  readonly stored: number;
}

function* headersOf(fd: number, sizeBytes: number, where: string): Generator<FoundHeader, void, undefined> {
  let records: PaxRecords = new Map();
  let longName: string | undefined;
  let longLink: string | undefined;
  for (let at = 0; at < sizeBytes;) {
    const place = `at byte ${at} of ${where}`;
    const block = readAt(fd, at, BLOCK_BYTES);
    if (block.length < BLOCK_BYTES) refuse('bad-image', `${where} is cut`);
    const header = parseTarHeader(block, place);
    if (header === undefined) return;
    const offset = at + BLOCK_BYTES;
    const stored = paxInteger(records, 'size', place) ?? header.size;
    const meta = 'xLK'.includes(header.type);
    const length = meta ? header.size : stored;
    if (length < 0 || offset + length > sizeBytes) refuse('bad-image', `${where} is cut in a member`);
    at = offset + Math.ceil(length / BLOCK_BYTES) * BLOCK_BYTES;
    if (meta) {
      if (length > DEFAULT_LIMITS.maxHeaderBytes)
        refuse('bad-image', `extended header of ${length} bytes ${place}`);
      const bytes = readAt(fd, offset, length);
      if (header.type === 'x') records = parsePaxRecords(bytes, place);
      else if (header.type === 'L') longName = untilNul(bytes);
      else longLink = untilNul(bytes);
      continue;
    }
    if ('gSMN'.includes(header.type)) {
      if (header.type !== 'g') refuse('bad-image', `${where}: unsupported kind of member ${place}`);
      continue;
    }
    const text = (key: string): string | undefined => records.get(key)?.toString('utf8');
    yield {
      header,
      name: text('path') ?? longName ?? header.name.toString('utf8'),
      linkName: text('linkpath') ?? longLink ?? header.linkName.toString('utf8'),
      offset,
      stored,
    };
    [records, longName, longLink] = [new Map(), undefined, undefined];
  }
}

function untilNul(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('utf8', 0, end === -1 ? bytes.length : end);
}
